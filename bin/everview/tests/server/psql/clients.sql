-- What drivers and tools ask catalogs, by the forms that they use: one statement under each heading.
-- == driver: which server is this
SELECT current_database(), current_user, session_user, current_schema(), current_setting('server_version_num')::int >= 150000, pg_is_in_recovery()
-- == driver: the longest name
SELECT length(repeat('1234567890', 1000)::name)
-- == driver: base types with their elements and receive functions
SELECT n.nspname, t.typname, t.typtype, e.typname AS element, r.proname AS receive FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_proc r ON r.oid = t.typreceive LEFT JOIN pg_type e ON e.oid = CASE WHEN r.proname = 'array_recv' THEN t.typelem END WHERE t.typname IN ('int4', '_int4', 'text', '_text', 'numeric', 'timestamptz', 'uuid', 'bytea') ORDER BY t.typname
-- == driver: user-defined enums and composites, of which there are none
SELECT t.oid, l.enumlabel FROM pg_enum l JOIN pg_type t ON t.oid = l.enumtypid ORDER BY t.oid, l.enumsortorder
-- == driver: a type by name, with its array and delimiter
SELECT typname AS name, oid, typarray AS array_oid, oid::regtype::text AS regtype, typdelim FROM pg_type t WHERE t.oid = to_regtype('numeric') ORDER BY t.oid
-- == driver: types by number, with ranges and composites looked for
SELECT t.typname, t.typtype, t.typelem, r.rngsubtype, n.nspname, t.typbasetype, t.typrelid FROM pg_catalog.pg_type t LEFT OUTER JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid INNER JOIN pg_catalog.pg_namespace n ON t.typnamespace = n.oid WHERE t.oid = 1007
-- == tables with their kinds and comments
SELECT NULL AS cat, n.nspname, c.relname, CASE n.nspname ~ '^pg_' OR n.nspname = 'information_schema' WHEN true THEN 'SYSTEM' WHEN false THEN CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE NULL END ELSE NULL END AS kind, d.description FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_description d ON (c.oid = d.objoid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass) WHERE c.relnamespace = n.oid AND n.nspname LIKE 's%' AND (false OR (c.relkind IN ('r', 'v', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')) ORDER BY kind, n.nspname, c.relname
-- == columns with numbers, defaults and comments
SELECT * FROM (SELECT n.nspname, c.relname, a.attname, a.atttypid::regtype::text, a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) AS required, a.atttypmod, a.attlen, t.typtypmod, row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS place, nullif(a.attidentity, '') AS identity, nullif(a.attgenerated, '') AS generated, pg_catalog.pg_get_expr(def.adbin, def.adrelid) AS adsrc, dsc.description, t.typbasetype, t.typtype FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON (c.relnamespace = n.oid) JOIN pg_catalog.pg_attribute a ON (a.attrelid = c.oid) JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid) LEFT JOIN pg_catalog.pg_attrdef def ON (a.attrelid = def.adrelid AND a.attnum = def.adnum) LEFT JOIN pg_catalog.pg_description dsc ON (c.oid = dsc.objoid AND a.attnum = dsc.objsubid) LEFT JOIN pg_catalog.pg_class dc ON (dc.oid = dsc.classoid AND dc.relname = 'pg_class') LEFT JOIN pg_catalog.pg_namespace dn ON (dc.relnamespace = dn.oid AND dn.nspname = 'pg_catalog') WHERE c.relkind IN ('r', 'p', 'v', 'f', 'm') AND a.attnum > 0 AND NOT a.attisdropped AND n.nspname LIKE 's') c WHERE true ORDER BY nspname, relname, place
-- == columns for an object mapper, by subqueries
SELECT a.attname, format_type(a.atttypid, a.atttypmod), (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef) AS default, a.attnotnull, a.attrelid = 's.orders'::regclass AS same, pgd.description FROM pg_attribute a LEFT JOIN pg_description pgd ON (pgd.objoid = a.attrelid AND pgd.objsubid = a.attnum) WHERE a.attrelid = 's.orders'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
-- == primary key by its place in the index
SELECT n.nspname, ct.relname, a.attname, k.place, ci.relname AS pk FROM pg_class ct JOIN pg_namespace n ON ct.relnamespace = n.oid JOIN pg_index i ON i.indrelid = ct.oid CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, place) JOIN pg_attribute a ON a.attrelid = ct.oid AND a.attnum = k.attnum JOIN pg_class ci ON ci.oid = i.indexrelid WHERE i.indisprimary AND n.nspname IN ('public', 's') ORDER BY 2, 4
-- == primary key by a cast of the table's name
SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) WHERE i.indrelid = 's.orders'::regclass AND i.indisprimary
-- == constraints with arrays of their columns
SELECT c.conname, ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY AS k(attnum, place) JOIN pg_attribute a ON a.attnum = k.attnum WHERE a.attrelid = c.conrelid ORDER BY k.place) AS columns, c.contype, cl.reloptions FROM pg_constraint c JOIN pg_class cl ON c.conrelid = cl.oid JOIN pg_namespace n ON cl.relnamespace = n.oid WHERE n.nspname = 's' AND cl.relname = 'orders' AND c.contype IN ('p', 'u') ORDER BY c.conname
-- == foreign keys, of which there are none
SELECT kcu.column_name, ccu.table_name, ccu.column_name FROM information_schema.constraint_column_usage ccu LEFT JOIN information_schema.key_column_usage kcu ON ccu.constraint_catalog = kcu.constraint_catalog AND ccu.constraint_schema = kcu.constraint_schema AND ccu.constraint_name = kcu.constraint_name LEFT JOIN information_schema.table_constraints tc ON ccu.constraint_name = tc.constraint_name AND ccu.constraint_schema = tc.constraint_schema WHERE kcu.table_name = 'orders' AND tc.constraint_type = 'FOREIGN KEY'
-- == referential constraints
SELECT count(*) FROM information_schema.referential_constraints
-- == indexes with columns, order and method
SELECT indexname, array_agg(attname::text ORDER BY place), indisunique, indisprimary, array_agg(ordering ORDER BY place), amname, exprdef FROM (SELECT c2.relname AS indexname, i.indisunique, i.indisprimary, a.attname, am.amname, k.place, CASE WHEN i.indexprs IS NOT NULL THEN pg_get_indexdef(i.indexrelid) END AS exprdef, CASE am.amname WHEN 'btree' THEN CASE (i.indoption[k.place - 1] & 1) WHEN 1 THEN 'DESC' ELSE 'ASC' END END AS ordering FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(key, place) LEFT JOIN pg_class c ON i.indrelid = c.oid LEFT JOIN pg_class c2 ON i.indexrelid = c2.oid LEFT JOIN pg_am am ON c2.relam = am.oid LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.key WHERE c.relname = 't') s GROUP BY indexname, indisunique, indisprimary, amname, exprdef ORDER BY indexname
-- == tool: relations that can be browsed, with sizes by estimate
SELECT c.relname, c.relkind, c.relhasindex, obj_description(c.oid, 'pg_class'), has_table_privilege(c.oid, 'SELECT') FROM pg_class c LEFT JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind IN ('r', 'm', 'p') ORDER BY c.relname
-- == tool: schemas by right
SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' AND nspname NOT IN ('information_schema', 'everview') AND has_schema_privilege(oid, 'USAGE') ORDER BY 1
-- == tool: databases
SELECT datname, pg_encoding_to_char(encoding), datallowconn FROM pg_database WHERE NOT datistemplate AND datname = current_database()
-- == tool: views and what they are made of
SELECT table_name, view_definition FROM information_schema.views WHERE table_schema = 'public' AND table_name = 'w'
-- == tool: what a view depends on
SELECT DISTINCT v.relname, t.relname FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class JOIN pg_class t ON t.oid = d.refobjid WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND v.relname IN ('w', 'wide', 'm') AND t.oid <> v.oid ORDER BY 1, 2
-- == tool: functions with their arguments
SELECT p.proname, pg_get_function_identity_arguments(p.oid), p.prorettype::regtype::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.proname = 'date_trunc' AND n.nspname = 'pg_catalog' ORDER BY 2
-- == tool: settings
SELECT name, setting FROM pg_settings WHERE name IN ('standard_conforming_strings', 'max_identifier_length', 'integer_datetimes') ORDER BY 1
-- == tool: columns that are dates, for charts
SELECT quote_ident(table_name), quote_ident(column_name) FROM information_schema.columns WHERE table_schema = 's' AND data_type IN ('timestamp with time zone', 'timestamp without time zone', 'date') ORDER BY 1, 2
-- == tool: sessions, one's own left out
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()
-- == tool: locks and replication, of which there are none
SELECT (SELECT count(*) FROM pg_locks WHERE NOT granted), (SELECT count(*) FROM pg_stat_replication), (SELECT count(*) FROM pg_replication_slots)
