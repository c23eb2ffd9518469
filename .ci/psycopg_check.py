"""psycopg 3 against a running Everview: python3 .ci/psycopg_check.py [CONNECTION STRING]

Each function is one behaviour that programs rely on, by psycopg's own defaults: the extended protocol, text and binary
values, prepared statements, pipelines, server-side cursors, COPY. The script ends with `N passed, N failed`.
"""

import asyncio
import datetime
import decimal
import sys
import threading
import time
import traceback
import uuid

import psycopg
from psycopg import errors, sql
from psycopg.rows import class_row, dict_row, namedtuple_row
from psycopg.types.json import Jsonb

CHECKS = []
# Some seconds of work.
SLOW = "SELECT count(*) FROM generate_series(1, 7000) a, generate_series(1, 7000) b WHERE a + b = 0"


def check(function):
    CHECKS.append(function)
    return function


def raises(kind, action):
    """The error of a kind that an action ends in."""
    try:
        action()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


UTC = datetime.timezone.utc
VALUES = [
    ("bool", True),
    ("smallint", -32768),
    ("int", 7),
    ("bigint", 1 << 40),
    ("real", 0.5),
    ("float8", 1.5e300),
    ("numeric", decimal.Decimal("12.340")),
    ("numeric", decimal.Decimal("-123456789012345678901234567890.000001")),
    ("text", "t\u00e4ss\u00e4 'quoted' \\ \n"),
    ("varchar", ""),
    ("bytea", b"\x00\xff"),
    ("date", datetime.date(2024, 2, 29)),
    ("time", datetime.time(1, 2, 3, 4)),
    ("timestamp", datetime.datetime(2024, 2, 29, 1, 2, 3, 5)),
    ("timestamptz", datetime.datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC)),
    ("interval", datetime.timedelta(days=3, seconds=4, microseconds=5)),
    ("uuid", uuid.UUID(int=5)),
    ("int[]", [1, None, 3]),
    ("text[]", ["a", 'b"c', "NULL", None, ""]),
    ("int[]", [[1, 2], [3, 4]]),
    ("int[]", []),
]


def round_trip(conn, place, binary):
    for name, given in VALUES:
        with conn.cursor(binary=binary) as cur:
            got = cur.execute(f"SELECT {place}::{name}", (given,)).fetchone()[0]
        assert got == given and type(got) is type(given), (name, given, got)


@check
def text_parameters_and_text_results(conn):
    round_trip(conn, "%t", False)


@check
def binary_parameters_and_binary_results(conn):
    round_trip(conn, "%b", True)


@check
def text_parameters_and_binary_results(conn):
    round_trip(conn, "%t", True)


@check
def binary_parameters_and_text_results(conn):
    round_trip(conn, "%b", False)


@check
def nulls_of_every_type(conn):
    for name, _ in VALUES:
        for binary in (False, True):
            with conn.cursor(binary=binary) as cur:
                assert cur.execute(f"SELECT %s::{name}", (None,)).fetchone() == (None,), name


@check
def jsonb_both_ways(conn):
    given = {"a": [1, 2.5, None, True, "x"], "b": {}}
    for binary in (False, True):
        with conn.cursor(binary=binary) as cur:
            assert cur.execute("SELECT %s::jsonb", (Jsonb(given),)).fetchone() == (given,)


@check
def special_floats(conn):
    for binary in (False, True):
        with conn.cursor(binary=binary) as cur:
            row = cur.execute("SELECT %s::float8, %s::float8", (float("inf"), float("nan"))).fetchone()
        assert row[0] == float("inf") and row[1] != row[1]


@check
def parameter_types_are_inferred(conn):
    conn.execute("CREATE TABLE inferred (a int, b numeric, c date)")
    conn.execute("INSERT INTO inferred VALUES (%s, %s, %s)", (1, 2, "2024-01-01"))
    row = conn.execute("SELECT * FROM inferred WHERE c = %s", ("2024-01-01",)).fetchone()
    assert row == (1, decimal.Decimal(2), datetime.date(2024, 1, 1)), row


@check
def columns_are_described(conn):
    cur = conn.execute("SELECT 1::int AS a, 'x'::varchar(7) AS b, 1.5::numeric(5,2) AS c")
    assert [c.name for c in cur.description] == ["a", "b", "c"]
    assert [c.type_code for c in cur.description] == [23, 1043, 1700]
    assert cur.description[1].display_size == 7
    assert (cur.description[2].precision, cur.description[2].scale) == (5, 2)


@check
def rows_in_other_shapes(conn):
    class Pair:
        def __init__(self, a, b):
            self.a, self.b = a, b

    assert conn.cursor(row_factory=dict_row).execute("SELECT 1 AS a").fetchone() == {"a": 1}
    assert conn.cursor(row_factory=namedtuple_row).execute("SELECT 1 AS a").fetchone().a == 1
    assert conn.cursor(row_factory=class_row(Pair)).execute("SELECT 1 AS a, 2 AS b").fetchone().b == 2


@check
def statements_are_prepared_after_five_uses(conn):
    conn.execute("CREATE TABLE prepared (a int PRIMARY KEY, b text)")
    with conn.cursor() as cur:
        cur.executemany("INSERT INTO prepared VALUES (%s, %s)", [(i, str(i)) for i in range(100)])
        assert cur.rowcount == 100, cur.rowcount
        for i in range(20):
            assert cur.execute("SELECT b FROM prepared WHERE a = %s", (i,)).fetchone() == (str(i),)
    assert conn.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() is not None


@check
def prepared_at_once(conn):
    for i in range(3):
        assert conn.execute("SELECT %s::int + 1", (i,), prepare=True).fetchone() == (i + 1,)


@check
def a_prepared_statement_survives_ddl(conn):
    conn.execute("CREATE TABLE changing (a int)")
    conn.execute("INSERT INTO changing VALUES (1)")
    for _ in range(3):
        assert conn.execute("SELECT a FROM changing", prepare=True).fetchall() == [(1,)]
    conn.execute("CREATE INDEX ON changing (a)")
    assert conn.execute("SELECT a FROM changing", prepare=True).fetchall() == [(1,)]


@check
def returning_many(conn):
    conn.execute("CREATE TABLE numbered (a int PRIMARY KEY)")
    with conn.cursor() as cur:
        cur.executemany("INSERT INTO numbered VALUES (%s) RETURNING a * 2", [(1,), (2,)], returning=True)
        got = [cur.fetchone()]
        while cur.nextset():
            got.append(cur.fetchone())
    assert got == [(2,), (4,)], got


@check
def row_counts(conn):
    conn.execute("CREATE TABLE counted (a int)")
    assert conn.execute("INSERT INTO counted SELECT generate_series(1, 10)").rowcount == 10
    assert conn.execute("UPDATE counted SET a = a WHERE a > 5").rowcount == 5
    assert conn.execute("DELETE FROM counted WHERE a = 1").rowcount == 1
    assert conn.execute("SELECT * FROM counted").rowcount == 9


@check
def copy_in_text_by_rows(conn):
    conn.execute("CREATE TABLE copied (a int, b text)")
    with conn.cursor() as cur, cur.copy("COPY copied FROM STDIN") as copy:
        for i in range(1000):
            copy.write_row((i, None if i % 2 else "a\tb\\c"))
    assert conn.execute("SELECT count(*), count(b), max(b) FROM copied").fetchone() == (1000, 500, "a\tb\\c")


@check
def copy_in_csv_by_blocks(conn):
    conn.execute("CREATE TABLE blocks (a int, b text)")
    with conn.cursor() as cur, cur.copy("COPY blocks FROM STDIN (FORMAT csv, HEADER)") as copy:
        copy.write("a,b\n1,on")
        copy.write('e\n2,"two, ""too"""\n')
    assert conn.execute("SELECT * FROM blocks ORDER BY a").fetchall() == [(1, "one"), (2, 'two, "too"')]


@check
def copy_out_by_rows(conn):
    with conn.cursor() as cur, cur.copy("COPY (SELECT a, b FROM copied ORDER BY a LIMIT 2) TO STDOUT") as copy:
        assert list(copy.rows()) == [("0", "a\tb\\c"), ("1", None)]


@check
def a_failed_copy_leaves_nothing(conn):
    def broken():
        with conn.cursor() as cur, cur.copy("COPY blocks FROM STDIN") as copy:
            copy.write("3\tx\nnot a number\ty\n")

    raises(errors.InvalidTextRepresentation, broken)
    assert conn.execute("SELECT count(*) FROM blocks").fetchone() == (2,)


@check
def copy_given_up_by_the_client(conn):
    def given_up():
        with conn.cursor() as cur, cur.copy("COPY blocks FROM STDIN") as copy:
            copy.write("9\tx\n")
            raise ZeroDivisionError

    raises(ZeroDivisionError, given_up)
    assert conn.execute("SELECT count(*) FROM blocks").fetchone() == (2,)


@check
def server_side_cursor(conn):
    with conn.transaction(), conn.cursor(name="c") as cur:
        cur.itersize = 7
        cur.execute("SELECT a FROM copied ORDER BY a")
        assert [r[0] for r in cur.fetchmany(3)] == [0, 1, 2]
        assert sum(1 for _ in cur) == 997


@check
def transaction_commits(conn):
    conn.execute("CREATE TABLE kept (a int)")
    with conn.transaction():
        conn.execute("INSERT INTO kept VALUES (1)")
        assert conn.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
    assert conn.execute("SELECT a FROM kept").fetchall() == [(1,)]
    assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


@check
def transaction_rolls_back_on_an_exception(conn):
    def body():
        with conn.transaction():
            conn.execute("DELETE FROM kept")
            conn.execute("SELECT 1/0")

    raises(errors.DivisionByZero, body)
    assert conn.execute("SELECT a FROM kept").fetchall() == [(1,)]


@check
def transaction_rolls_back_on_request(conn):
    with conn.transaction():
        conn.execute("DELETE FROM kept")
        raise psycopg.Rollback
    assert conn.execute("SELECT a FROM kept").fetchall() == [(1,)]


@check
def a_failed_transaction_refuses_statements(conn):
    conn.execute("BEGIN")
    raises(errors.DivisionByZero, lambda: conn.execute("SELECT 1/0"))
    assert conn.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
    raises(errors.InFailedSqlTransaction, lambda: conn.execute("SELECT 1"))
    conn.execute("ROLLBACK")
    assert conn.execute("SELECT 1").fetchone() == (1,)


@check
def transactions_without_autocommit(conn):
    with psycopg.connect(conn.info.dsn) as other:
        other.execute("INSERT INTO kept VALUES (2)")
        assert conn.execute("SELECT count(*) FROM kept").fetchone() == (1,)
        other.commit()
        assert conn.execute("SELECT count(*) FROM kept").fetchone() == (2,)
        other.execute("DELETE FROM kept")
        other.rollback()
    assert conn.execute("SELECT count(*) FROM kept").fetchone() == (2,)


@check
def isolation_level_is_accepted(conn):
    with psycopg.connect(conn.info.dsn) as other:
        other.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        assert other.execute("SHOW transaction_isolation").fetchone() == ("serializable",)


@check
def a_serialization_conflict_has_its_code(conn):
    conn.execute("CREATE TABLE contended (a int PRIMARY KEY, n int)")
    conn.execute("INSERT INTO contended VALUES (1, 0)")
    with psycopg.connect(conn.info.dsn) as one, psycopg.connect(conn.info.dsn) as two:
        for c in (one, two):
            assert c.execute("SELECT n FROM contended WHERE a = 1").fetchone() == (0,)
        one.execute("UPDATE contended SET n = 1 WHERE a = 1")
        one.commit()

        def late():
            two.execute("UPDATE contended SET n = 2 WHERE a = 1")
            two.commit()

        assert raises(errors.SerializationFailure, late).sqlstate == "40001"


@check
def a_duplicate_key_names_its_constraint(conn):
    diag = raises(errors.UniqueViolation, lambda: conn.execute("INSERT INTO prepared VALUES (1)")).diag
    assert diag.sqlstate == "23505" and diag.severity == "ERROR"
    assert (diag.schema_name, diag.table_name, diag.constraint_name) == ("public", "prepared", "prepared_pkey")
    assert diag.message_detail == "Key (a)=(1) already exists.", diag.message_detail


@check
def a_null_names_its_column(conn):
    conn.execute("CREATE TABLE strict (a int NOT NULL, CHECK (a > 0))")
    diag = raises(errors.NotNullViolation, lambda: conn.execute("INSERT INTO strict VALUES (NULL)")).diag
    assert (diag.table_name, diag.column_name) == ("strict", "a")
    diag = raises(errors.CheckViolation, lambda: conn.execute("INSERT INTO strict VALUES (0)")).diag
    assert diag.constraint_name == "strict_a_check"


@check
def an_error_has_a_position(conn):
    diag = raises(errors.UndefinedColumn, lambda: conn.execute("SELECT nothing FROM kept")).diag
    assert diag.statement_position == "8", diag.statement_position
    raises(errors.UndefinedTable, lambda: conn.execute("SELECT * FROM nowhere"))
    raises(errors.SyntaxError, lambda: conn.execute("SELEKT"))
    raises(errors.UndefinedFunction, lambda: conn.execute("SELECT nosuch(1)"))


@check
def notices_are_handed_on(conn):
    seen = []
    conn.add_notice_handler(lambda diag: seen.append((diag.severity, diag.message_primary)))
    conn.execute("DROP TABLE IF EXISTS nowhere")
    assert seen == [("NOTICE", 'table "nowhere" does not exist, skipping')], seen


@check
def pipeline(conn):
    with conn.pipeline():
        cursors = [conn.execute("SELECT %s::int", (i,)) for i in range(50)]
    assert [c.fetchone()[0] for c in cursors] == list(range(50))


@check
def an_error_in_a_pipeline_skips_to_the_sync(conn):
    with conn.pipeline() as p:
        broken = conn.cursor()
        broken.execute("SELECT 1/%s", (0,))
        skipped = conn.cursor()
        skipped.execute("SELECT 1")
        raises(errors.DivisionByZero, p.sync)
    assert conn.execute("SELECT 3").fetchone() == (3,)


@check
def cancel_from_another_thread(conn):
    timer = threading.Timer(0.3, conn.cancel)
    timer.start()
    begun = time.monotonic()
    raises(errors.QueryCanceled, lambda: conn.execute(SLOW))
    assert time.monotonic() - begun < 10
    assert conn.execute("SELECT 1").fetchone() == (1,)


@check
def statement_timeout(conn):
    conn.execute("SET statement_timeout = '200ms'")
    raises(errors.QueryCanceled, lambda: conn.execute(SLOW))
    conn.execute("RESET statement_timeout")


@check
def terminated_by_another_session(conn):
    other = psycopg.connect(conn.info.dsn, autocommit=True)
    pid = other.info.backend_pid
    found = conn.execute("SELECT state, application_name FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone()
    assert found is not None and found[0] == "idle", found
    assert conn.execute("SELECT pg_terminate_backend(%s)", (pid,)).fetchone() == (True,)
    raises(psycopg.OperationalError, lambda: other.execute("SELECT 1"))


@check
def settings_of_the_connection(conn):
    with psycopg.connect(conn.info.dsn, application_name="tester", options="-c timezone=Europe/Paris") as other:
        assert other.info.parameter_status("application_name") == "tester"
        assert other.info.timezone.key == "Europe/Paris"
        assert other.info.server_version >= 150000 and other.info.encoding == "utf-8"
        assert other.execute("SHOW timezone").fetchone() == ("Europe/Paris",)


@check
def composed_statements(conn):
    name = sql.Identifier('odd "name')
    conn.execute(sql.SQL("CREATE TABLE {} (a int)").format(name))
    conn.execute(sql.SQL("INSERT INTO {} VALUES ({})").format(name, sql.Literal(5)))
    assert conn.execute(sql.SQL("SELECT * FROM {}").format(name)).fetchall() == [(5,)]


@check
def several_statements_in_one_string(conn):
    cur = conn.execute("SELECT 1; SELECT 2")
    assert cur.fetchone() == (1,) and cur.nextset() and cur.fetchone() == (2,) and not cur.nextset()


@check
def an_empty_statement(conn):
    assert conn.execute("").description is None


@check
def a_long_value(conn):
    for binary in (False, True):
        with conn.cursor(binary=binary) as cur:
            assert cur.execute("SELECT length(%s::text)", ("x" * 5_000_000,)).fetchone() == (5_000_000,)


@check
def a_materialized_view_follows(conn):
    conn.execute("CREATE TABLE fed (k text, n int)")
    conn.execute("CREATE MATERIALIZED VIEW total AS SELECT k, sum(n) AS n FROM fed GROUP BY k")
    conn.execute("INSERT INTO fed VALUES ('a', 1), ('a', 2)")
    assert conn.execute("SELECT * FROM total").fetchall() == [("a", 3)]
    conn.execute("DELETE FROM fed WHERE n = 1")
    assert conn.execute("SELECT * FROM total").fetchall() == [("a", 2)]


@check
def asynchronous_connections(conn):
    async def body():
        async with await psycopg.AsyncConnection.connect(conn.info.dsn, autocommit=True) as other:
            cur = await other.execute("SELECT generate_series(1, 3)")
            return [row[0] async for row in cur]

    assert asyncio.run(body()) == [1, 2, 3]


@check
def two_phase_is_refused_by_name(conn):
    raises(errors.FeatureNotSupported, lambda: conn.execute("PREPARE TRANSACTION 'x'"))


@check
def a_password_is_asked_for_once_it_is_set(conn):
    def connect(password):
        other = psycopg.conninfo.make_conninfo(conn.info.dsn, user="postgres", password=password)
        with psycopg.connect(other) as other:
            return other.execute("SELECT current_user").fetchone()

    assert connect(None) == ("postgres",)
    conn.execute("ALTER ROLE postgres PASSWORD 'p\u00e4ss'")
    assert connect("p\u00e4ss") == ("postgres",)
    for wrong in ("pass", None):
        raises(psycopg.OperationalError, lambda: connect(wrong))
    verifier = conn.pgconn.encrypt_password(b"new", b"postgres", b"scram-sha-256").decode()
    conn.execute(sql.SQL("ALTER USER postgres PASSWORD {}").format(sql.Literal(verifier)))
    assert connect("new") == ("postgres",)
    conn.execute("ALTER ROLE postgres PASSWORD NULL")
    assert connect(None) == ("postgres",)


def main():
    url = sys.argv[1] if len(sys.argv) > 1 else "postgres://everview@127.0.0.1:6875/everview"
    passed = failed = 0
    for function in CHECKS:
        try:
            with psycopg.connect(url, autocommit=True) as conn:
                function(conn)
            passed += 1
        except Exception:
            failed += 1
            print(f"FAILED: {function.__name__}")
            traceback.print_exc()
    print(f"psycopg {psycopg.__version__}: {passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
