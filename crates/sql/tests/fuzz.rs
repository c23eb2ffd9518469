//! The fuzz target's function over random and mutated bytes, on every compiler.
//!
//! `PROPTEST_CASES=1000000 cargo test -p everview-sql --test fuzz` runs as many as given.

#[path = "../fuzz/entry.rs"]
mod entry;
#[path = "../../repr/fuzz/mutated.rs"]
mod mutated;

use proptest::prelude::*;

/// What mutations begin with.
const SEEDS: &[&[u8]] = &[
    b"",
    b"\x00SELECT a, count(*) FILTER (WHERE b LIKE 'x%') FROM t GROUP BY a HAVING sum(c) > 1.5 ORDER BY 2 DESC LIMIT 3",
    b"\x00SELECT * FROM t JOIN LATERAL (SELECT max(x) FROM u WHERE u.a = t.a) m ON true WHERE EXISTS (SELECT 1 FROM v)",
    b"\x00WITH w AS (SELECT row_number() OVER (PARTITION BY a ORDER BY id) AS n FROM t) SELECT * FROM w WHERE n <= 3",
    b"\x00INSERT INTO t (id, b) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET b = excluded.b RETURNING *",
    b"\x00UPDATE t SET a = u.x::int FROM u WHERE t.id = u.a; DELETE FROM t USING u WHERE t.a = u.a",
    b"\x00CREATE TABLE w (id int PRIMARY KEY, n numeric(4,2) DEFAULT 1 CHECK (n > 0)) APPEND ONLY; CREATE VIEW q AS TABLE t",
    b"\x00COPY t FROM STDIN (FORMAT csv, HEADER, NULL 'NA'); SUBSCRIBE v WITH (PROGRESS) AS OF 5; EXPLAIN SELECT 1",
    b"\x00SELECT CASE WHEN a BETWEEN SYMMETRIC 1 AND 2 THEN '{1}'::int[] ELSE ARRAY[b->>'k'] END, U&'\\0041' FROM u",
    b"\x01\x00\xb0\x01\xa2\x02\xa3\xc0\xd0",
];

proptest! {
    #[test]
    fn any_bytes_are_refused_or_mean_something(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        entry::run(&bytes);
    }

    #[test]
    fn mutated_bytes_are_refused_or_mean_something(bytes in mutated::mutated(SEEDS)) {
        entry::run(&bytes);
    }
}
