"""psycopg 3 against a running Everview: python3 .ci/psycopg_check.py [CONNECTION STRING]

It uses what psycopg does by default: the extended protocol, text and binary values, pipelines,
server-side cursors, COPY. Any difference is an assertion.
"""

import datetime
import decimal
import sys
import uuid

import psycopg


def values(conn):
    given = [
        True, 7, 1 << 40, 1.5, decimal.Decimal("12.340"), "tässä", b"\x00\xff", None,
        datetime.date(2024, 2, 29), datetime.time(1, 2, 3, 4), datetime.datetime(2024, 2, 29, 1, 2, 3),
        datetime.datetime(2024, 2, 29, 1, 2, 3, tzinfo=datetime.timezone.utc),
        uuid.UUID(int=5), [1, 2, 3],
    ]
    types = [
        "bool", "int", "bigint", "float8", "numeric", "text", "bytea", "text", "date", "time",
        "timestamp", "timestamptz", "uuid", "int[]",
    ]
    for binary in (False, True):
        place = "%b" if binary else "%t"
        sql = "SELECT " + ", ".join(f"{place}::{t}" for t in types)
        with conn.cursor(binary=binary) as cur:
            row = cur.execute(sql, given).fetchone()
        assert list(row) == given, (binary, row)


def statements(conn):
    with conn.cursor() as cur:
        cur.execute("CREATE TABLE psycopg_t (a int PRIMARY KEY, b text)")
        cur.executemany("INSERT INTO psycopg_t VALUES (%s, %s)", [(i, str(i)) for i in range(100)])
        assert cur.rowcount == 100
        # More than five times: psycopg prepares it.
        for i in range(10):
            assert cur.execute("SELECT b FROM psycopg_t WHERE a = %s", (i,)).fetchone() == (str(i),)
    with conn.cursor() as cur, cur.copy("COPY psycopg_t FROM STDIN") as copy:
        for i in range(100, 1000):
            copy.write_row((i, None))
    with conn.cursor() as cur, cur.copy("COPY psycopg_t TO STDOUT") as copy:
        assert sum(1 for _ in copy.rows()) == 1000


def transactions(conn):
    try:
        with conn.transaction():
            conn.execute("DELETE FROM psycopg_t")
            conn.execute("SELECT 1/0")
        raise AssertionError("a division by zero passed")
    except psycopg.errors.DivisionByZero:
        pass
    assert conn.execute("SELECT count(*) FROM psycopg_t").fetchone() == (1000,)
    with conn.transaction(), conn.cursor(name="c") as cur:
        cur.execute("SELECT a FROM psycopg_t ORDER BY a")
        assert [r[0] for r in cur.fetchmany(3)] == [0, 1, 2]
    try:
        conn.execute("INSERT INTO psycopg_t VALUES (1)")
        raise AssertionError("a duplicate passed")
    except psycopg.errors.UniqueViolation as error:
        assert error.diag.constraint_name == "psycopg_t_pkey", error.diag.constraint_name


def pipeline(conn):
    with conn.pipeline():
        cursors = [conn.execute("SELECT %s::int", (i,)) for i in range(50)]
    assert [c.fetchone()[0] for c in cursors] == list(range(50))


def main():
    url = sys.argv[1] if len(sys.argv) > 1 else "postgres://everview@127.0.0.1:6875/everview"
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("DROP TABLE IF EXISTS psycopg_t")
        values(conn)
        statements(conn)
        transactions(conn)
        pipeline(conn)
        conn.execute("DROP TABLE psycopg_t")
    print(f"psycopg {psycopg.__version__}: passed")


if __name__ == "__main__":
    main()
