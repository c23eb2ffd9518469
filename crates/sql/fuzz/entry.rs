//! What no text may do to the SQL front: one function for the fuzzer and for `cargo test`.
//!
//! Whatever comes, each statement is planned or refused.

use std::sync::{Arc, OnceLock};

use everview_catalog::catalog::Change;
use everview_catalog::object::Table;
use everview_catalog::{Catalog, Object, ObjectKind};
use everview_repr::{GlobalId, Timestamp};
use everview_sql::plan::Plan;
use everview_sql::{PlanContext, parse, plan};

/// What a byte stands for where bytes are words, so that few bytes reach far into the grammar.
const WORDS: &str = "SELECT FROM WHERE GROUP BY ORDER HAVING LIMIT OFFSET DISTINCT ON USING NATURAL JOIN LEFT RIGHT FULL \
    CROSS LATERAL UNION ALL EXCEPT INTERSECT WITH RECURSIVE AS OF VALUES INSERT INTO UPDATE SET DELETE RETURNING CONFLICT \
    DO NOTHING CREATE OR REPLACE TABLE VIEW MATERIALIZED INDEX SCHEMA UNIQUE PRIMARY KEY CHECK DEFAULT NOT NULL \
    APPEND ONLY IF EXISTS DROP CASCADE ALTER RENAME TO ADD COLUMN COMMENT IS COPY STDIN STDOUT SUBSCRIBE PROGRESS \
    DECLARE CURSOR FOR FETCH CLOSE BEGIN COMMIT ROLLBACK EXPLAIN PLAN PREPARE EXECUTE CASE WHEN THEN ELSE END IN ANY \
    SOME BETWEEN SYMMETRIC AND LIKE ILIKE SIMILAR ESCAPE CAST EXTRACT INTERVAL DATE TIMESTAMP ARRAY ROW FILTER OVER \
    PARTITION ROWS RANGE PRECEDING FOLLOWING UNBOUNDED CURRENT EXCLUDE TIES WINDOW count sum avg min max row_number lag \
    string_agg array_agg generate_series coalesce nullif greatest substring position trim now t u v a b c d x y z id \
    int bigint text numeric jsonb timestamptz ( ) ( ) , , . * + - / % ^ = <> < > <= >= || :: -> ->> @> [ ] ; $1 $2 0 1 \
    2.5 1e9 9223372036854775808 'x' '' '1' '{1,2}' '2024-02-29' NULL true false \"a\" \"T\" U&'\\0041' E'\\n' $$x$$";

/// Takes any bytes as text, or as words.
pub fn run(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    if first % 2 == 0 {
        text(&String::from_utf8_lossy(rest));
    } else {
        let words: Vec<&str> = WORDS.split_whitespace().collect();
        let picked = rest
            .iter()
            .map(|byte| words[usize::from(*byte) % words.len()]);
        text(&picked.collect::<Vec<_>>().join(" "));
    }
}

fn text(text: &str) {
    let Ok(statements) = parse(text) else {
        return;
    };
    for statement in statements {
        let planned = plan(&statement, &context(catalog()));
        if let Ok(planned) = planned {
            let _ = everview_sql::result_desc(&planned.plan);
        }
    }
}

fn context(catalog: &Catalog) -> PlanContext<'_> {
    static PATH: OnceLock<Vec<String>> = OnceLock::new();
    PlanContext {
        catalog,
        search_path: PATH.get_or_init(|| vec!["public".to_string()]),
        time_zone: "UTC",
        params: &[],
        environment: None,
    }
}

/// Two tables and a view.
fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(|| {
        let texts = "CREATE TABLE t (id int PRIMARY KEY, a int, b text, c numeric(10, 2), d date);
            CREATE TABLE u (a int, x bigint NOT NULL, y double precision, z text[], b jsonb);
            CREATE MATERIALIZED VIEW v AS SELECT a, count(*) AS c FROM t GROUP BY a";
        let mut catalog = Catalog::new();
        for statement in parse(texts).expect("these parse") {
            let planned = plan(&statement, &context(&catalog)).expect("these are planned");
            catalog = create(&catalog, planned.plan);
        }
        catalog
    })
}

fn create(catalog: &Catalog, plan: Plan) -> Catalog {
    let id = catalog.next_id();
    let (schema, name, kind) = match plan {
        Plan::CreateTable(plan) => {
            let mut constraints = plan.constraints;
            for (constraint, n) in constraints.iter_mut().zip(id.0 + 1..) {
                constraint.id = GlobalId(n);
            }
            let table = Table {
                columns: plan.columns,
                constraints,
                append_only: plan.append_only,
            };
            (plan.schema, plan.name, ObjectKind::Table(table))
        }
        Plan::CreateView(plan) => (
            plan.schema,
            plan.name,
            ObjectKind::MaterializedView(plan.view),
        ),
        _ => return catalog.clone(),
    };
    let object = Object {
        id,
        schema: Some(schema),
        name,
        created: Timestamp::MIN,
        comment: None,
        kind,
    };
    catalog.apply(&[Change {
        old: None,
        new: Some(Arc::new(object)),
    }])
}
