-- The views of pg_catalog and information_schema over the tables of pg_catalog.
--
-- Each names the columns that it gives. The others that PostgreSQL 15 has, and every column's type, come from
-- relations.txt: what is not named is NULL.

CREATE VIEW pg_catalog.pg_tables
    (schemaname, tablename, tableowner, hasindexes, hasrules, hastriggers, rowsecurity) AS
SELECT n.nspname, c.relname, pg_get_userbyid(c.relowner), c.relhasindex, c.relhasrules, c.relhastriggers,
    c.relrowsecurity
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r';

CREATE VIEW pg_catalog.pg_views
    (schemaname, viewname, viewowner, definition) AS
SELECT n.nspname, c.relname, pg_get_userbyid(c.relowner), pg_get_viewdef(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'v';

CREATE VIEW pg_catalog.pg_matviews
    (schemaname, matviewname, matviewowner, hasindexes, ispopulated, definition) AS
SELECT n.nspname, c.relname, pg_get_userbyid(c.relowner), c.relhasindex, c.relispopulated, pg_get_viewdef(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'm';

CREATE VIEW pg_catalog.pg_indexes
    (schemaname, tablename, indexname, indexdef) AS
SELECT n.nspname, c.relname, i.relname, pg_get_indexdef(i.oid)
FROM pg_index x
    JOIN pg_class c ON c.oid = x.indrelid
    JOIN pg_class i ON i.oid = x.indexrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace;

CREATE VIEW pg_catalog.pg_roles
    (rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolconnlimit,
    rolpassword, rolvaliduntil, rolbypassrls, oid) AS
SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolconnlimit,
    '********', rolvaliduntil, rolbypassrls, oid
FROM pg_authid;

CREATE VIEW pg_catalog.pg_shadow
    (usename, usesysid, usecreatedb, usesuper, userepl, usebypassrls, passwd, valuntil) AS
SELECT rolname, oid, rolcreatedb, rolsuper, rolreplication, rolbypassrls, rolpassword, rolvaliduntil
FROM pg_authid WHERE rolcanlogin;

CREATE VIEW pg_catalog.pg_user
    (usename, usesysid, usecreatedb, usesuper, userepl, usebypassrls, passwd, valuntil) AS
SELECT usename, usesysid, usecreatedb, usesuper, userepl, usebypassrls, '********', valuntil
FROM pg_shadow;

CREATE VIEW pg_catalog.pg_stat_user_tables
    (relid, schemaname, relname, n_live_tup) AS
SELECT relid, schemaname, relname, n_live_tup
FROM pg_stat_all_tables
WHERE schemaname NOT IN ('pg_catalog', 'information_schema');

CREATE VIEW information_schema.information_schema_catalog_name
    (catalog_name) AS
SELECT current_database();

CREATE VIEW information_schema.schemata
    (catalog_name, schema_name, schema_owner) AS
SELECT current_database(), nspname, pg_get_userbyid(nspowner)
FROM pg_namespace;

CREATE VIEW information_schema.tables
    (table_catalog, table_schema, table_name, table_type, is_insertable_into, is_typed) AS
SELECT current_database(), n.nspname, c.relname,
    CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'BASE TABLE' END,
    CASE c.relkind WHEN 'v' THEN 'NO' ELSE 'YES' END, 'NO'
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v');

CREATE VIEW information_schema.columns
    (table_catalog, table_schema, table_name, column_name, ordinal_position, column_default, is_nullable, data_type,
    character_maximum_length, character_octet_length, numeric_precision, numeric_precision_radix, numeric_scale,
    datetime_precision, udt_catalog, udt_schema, udt_name, dtd_identifier, is_self_referencing, is_identity,
    identity_cycle, is_generated, is_updatable) AS
SELECT current_database(), n.nspname, c.relname, a.attname, a.attnum, pg_get_expr(d.adbin, d.adrelid),
    CASE WHEN a.attnotnull THEN 'NO' ELSE 'YES' END,
    CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN 'ARRAY'
        WHEN a.atttypid = 1042 THEN 'character' ELSE format_type(a.atttypid, NULL) END,
    CASE WHEN a.atttypid IN (1042, 1043) AND a.atttypmod <> -1 THEN a.atttypmod - 4 END,
    CASE WHEN a.atttypid IN (1042, 1043) AND a.atttypmod <> -1 THEN (a.atttypmod - 4) * 4
        WHEN a.atttypid IN (25, 1042, 1043) THEN 1073741824 END,
    CASE a.atttypid WHEN 21 THEN 16 WHEN 23 THEN 32 WHEN 20 THEN 64 WHEN 700 THEN 24 WHEN 701 THEN 53
        WHEN 1700 THEN CASE WHEN a.atttypmod <> -1 THEN ((a.atttypmod - 4) >> 16) & 65535 END END,
    CASE WHEN a.atttypid IN (20, 21, 23, 700, 701) THEN 2 WHEN a.atttypid = 1700 THEN 10 END,
    CASE WHEN a.atttypid IN (20, 21, 23) THEN 0
        WHEN a.atttypid = 1700 AND a.atttypmod <> -1 THEN (a.atttypmod - 4) & 65535 END,
    CASE WHEN a.atttypid = 1082 THEN 0
        WHEN a.atttypid IN (1083, 1114, 1184) THEN CASE WHEN a.atttypmod = -1 THEN 6 ELSE a.atttypmod END
        WHEN a.atttypid = 1186 THEN
            CASE WHEN a.atttypmod = -1 OR a.atttypmod & 65535 = 65535 THEN 6 ELSE a.atttypmod & 65535 END END,
    current_database(), 'pg_catalog', t.typname, a.attnum, 'NO', 'NO', 'NO', 'NEVER',
    CASE c.relkind WHEN 'r' THEN 'YES' ELSE 'NO' END
FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'v');

CREATE VIEW information_schema.views
    (table_catalog, table_schema, table_name, view_definition, check_option, is_updatable, is_insertable_into,
    is_trigger_updatable, is_trigger_deletable, is_trigger_insertable_into) AS
SELECT current_database(), n.nspname, c.relname, pg_get_viewdef(c.oid), 'NONE', 'NO', 'NO', 'NO', 'NO', 'NO'
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'v';

CREATE VIEW information_schema.table_constraints
    (constraint_catalog, constraint_schema, constraint_name, table_catalog, table_schema, table_name,
    constraint_type, is_deferrable, initially_deferred, enforced, nulls_distinct) AS
SELECT current_database(), n.nspname, k.name, current_database(), n.nspname, c.relname, k.kind, 'NO', 'NO', 'YES',
    CASE k.kind WHEN 'UNIQUE' THEN 'YES' END
FROM (
    SELECT conrelid, conname, CASE contype WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' ELSE 'CHECK' END
    FROM pg_constraint
    UNION ALL
    -- The standard has NOT NULL as a check, which PostgreSQL 15 names so.
    SELECT a.attrelid, c.relnamespace::text || '_' || a.attrelid::text || '_' || a.attnum::text || '_not_null', 'CHECK'
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE a.attnotnull AND c.relkind = 'r'
) k(relation, name, kind)
    JOIN pg_class c ON c.oid = k.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace;

CREATE VIEW information_schema.check_constraints
    (constraint_catalog, constraint_schema, constraint_name, check_clause) AS
SELECT current_database(), n.nspname, k.conname, substring(pg_get_constraintdef(k.oid) FROM 7)
FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
WHERE k.contype = 'c'
UNION ALL
SELECT current_database(), n.nspname,
    n.oid::text || '_' || a.attrelid::text || '_' || a.attnum::text || '_not_null', a.attname || ' IS NOT NULL'
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.attnotnull AND c.relkind = 'r';

CREATE VIEW information_schema.key_column_usage
    (constraint_catalog, constraint_schema, constraint_name, table_catalog, table_schema, table_name, column_name,
    ordinal_position) AS
SELECT current_database(), n.nspname, k.conname, current_database(), n.nspname, c.relname, a.attname, p.place
FROM pg_constraint k
    JOIN pg_class c ON c.oid = k.conrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL unnest(k.conkey) WITH ORDINALITY AS p(attnum, place)
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.attnum
WHERE k.contype IN ('p', 'u');

CREATE VIEW information_schema.constraint_column_usage
    (table_catalog, table_schema, table_name, column_name, constraint_catalog, constraint_schema,
    constraint_name) AS
SELECT current_database(), n.nspname, c.relname, a.attname, current_database(), n.nspname, k.conname
FROM pg_constraint k
    JOIN pg_class c ON c.oid = k.conrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL unnest(k.conkey) AS p(attnum)
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.attnum;

CREATE VIEW information_schema.constraint_table_usage
    (table_catalog, table_schema, table_name, constraint_catalog, constraint_schema, constraint_name) AS
SELECT current_database(), n.nspname, c.relname, current_database(), n.nspname, k.conname
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype IN ('p', 'u');

CREATE VIEW information_schema.view_table_usage
    (view_catalog, view_schema, view_name, table_catalog, table_schema, table_name) AS
SELECT DISTINCT current_database(), vn.nspname, v.relname, current_database(), tn.nspname, t.relname
FROM pg_rewrite r
    JOIN pg_class v ON v.oid = r.ev_class
    JOIN pg_namespace vn ON vn.oid = v.relnamespace
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.deptype = 'n'
    JOIN pg_class t ON t.oid = d.refobjid
    JOIN pg_namespace tn ON tn.oid = t.relnamespace
WHERE v.relkind = 'v';

CREATE VIEW information_schema.enabled_roles
    (role_name) AS
SELECT rolname FROM pg_authid WHERE pg_has_role(oid, 'USAGE');

CREATE VIEW information_schema.table_privileges
    (grantor, grantee, table_catalog, table_schema, table_name, privilege_type, is_grantable, with_hierarchy) AS
SELECT pg_get_userbyid(c.relowner), pg_get_userbyid(c.relowner), current_database(), n.nspname, c.relname, p.kind,
    'YES', CASE p.kind WHEN 'SELECT' THEN 'YES' ELSE 'NO' END
FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN (VALUES ('INSERT'), ('SELECT'), ('UPDATE'), ('DELETE'), ('TRUNCATE'), ('REFERENCES'), ('TRIGGER'))
        AS p(kind)
WHERE c.relkind IN ('r', 'v');

CREATE VIEW information_schema.role_table_grants
    (grantor, grantee, table_catalog, table_schema, table_name, privilege_type, is_grantable, with_hierarchy) AS
SELECT grantor, grantee, table_catalog, table_schema, table_name, privilege_type, is_grantable, with_hierarchy
FROM information_schema.table_privileges;

CREATE VIEW information_schema.column_privileges
    (grantor, grantee, table_catalog, table_schema, table_name, column_name, privilege_type, is_grantable) AS
SELECT pg_get_userbyid(c.relowner), pg_get_userbyid(c.relowner), current_database(), n.nspname, c.relname, a.attname,
    p.kind, 'YES'
FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid
    CROSS JOIN (VALUES ('INSERT'), ('SELECT'), ('UPDATE'), ('REFERENCES')) AS p(kind)
WHERE c.relkind IN ('r', 'v');

CREATE VIEW information_schema.role_column_grants
    (grantor, grantee, table_catalog, table_schema, table_name, column_name, privilege_type, is_grantable) AS
SELECT grantor, grantee, table_catalog, table_schema, table_name, column_name, privilege_type, is_grantable
FROM information_schema.column_privileges;

CREATE VIEW information_schema.character_sets
    (character_set_name, character_repertoire, form_of_use, default_collate_catalog, default_collate_schema,
    default_collate_name) AS
SELECT 'UTF8', 'UCS', 'UTF8', current_database(), 'pg_catalog', 'C';
