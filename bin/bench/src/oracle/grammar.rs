//! Random schemas, views and histories, from a seed.
//!
//! Invariant: what SQL leaves open is never asked for. No expression can fail, every order is total, and no result
//! depends on the order of evaluation, so that two right servers give the same rows.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// The kinds of column that expressions tell apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Int,
    Text,
    Numeric,
}

/// A relation that queries may read: a name or a query, and its columns.
#[derive(Clone, Debug)]
struct Relation {
    sql: String,
    columns: Vec<(String, Kind)>,
}

/// A view.
#[derive(Clone, Debug)]
pub struct View {
    /// Its name.
    pub name: String,
    /// Its query.
    pub sql: String,
    columns: Vec<(String, Kind)>,
}

/// Makes texts.
pub struct Grammar {
    rng: ChaCha8Rng,
    relations: Vec<Relation>,
    aliases: usize,
}

/// How many tables there are: `t0`, `t1`, ...
pub const TABLES: usize = 3;

/// The tables' columns.
const COLUMNS: [(&str, &str, Kind); 5] = [
    ("id", "int PRIMARY KEY", Kind::Int),
    ("a", "int", Kind::Int),
    ("b", "int NOT NULL", Kind::Int),
    ("c", "text", Kind::Text),
    ("d", "numeric(6,2)", Kind::Numeric),
];

/// How deep queries nest.
const DEPTH: usize = 3;

impl Grammar {
    /// A grammar that knows the tables.
    pub fn new(rng: ChaCha8Rng) -> Grammar {
        let columns = COLUMNS.map(|(name, _, kind)| (name.to_string(), kind));
        let relations = (0..TABLES).map(|n| Relation {
            sql: format!("t{n}"),
            columns: columns.to_vec(),
        });
        Grammar {
            rng,
            relations: relations.collect(),
            aliases: 0,
        }
    }

    /// The tables.
    pub fn tables() -> Vec<String> {
        let columns = COLUMNS
            .map(|(name, ty, _)| format!("{name} {ty}"))
            .join(", ");
        (0..TABLES)
            .map(|n| format!("CREATE TABLE t{n} ({columns})"))
            .collect()
    }

    /// The next view, which may read those that were [kept](Grammar::keep).
    pub fn view(&mut self, n: usize) -> View {
        let query = self.query(DEPTH);
        View {
            name: format!("v{n}"),
            sql: query.sql,
            columns: query.columns,
        }
    }

    /// Later views may read this one.
    pub fn keep(&mut self, view: &View) {
        self.relations.push(Relation {
            sql: view.name.clone(),
            columns: view.columns.clone(),
        });
    }

    /// A transaction: one to four statements.
    pub fn transaction(&mut self) -> Vec<String> {
        let statements = self.rng.random_range(1..=4);
        (0..statements).map(|_| self.write()).collect()
    }

    fn chance(&mut self, share: f64) -> bool {
        self.rng.random_bool(share)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from.choose(&mut self.rng).copied().unwrap_or_default()
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("r{}", self.aliases)
    }

    fn literal(&mut self, kind: Kind) -> String {
        match kind {
            Kind::Int => self.rng.random_range(-3..8).to_string(),
            Kind::Text => format!("'{}'", self.pick(&["", "x", "y", "ab", "B", "cd"])),
            Kind::Numeric => format!(
                "{}.{:02}",
                self.rng.random_range(-5..20),
                self.rng.random_range(0..100)
            ),
        }
    }

    fn nullable(&mut self, kind: Kind) -> String {
        if self.chance(0.2) {
            "NULL".to_string()
        } else {
            self.literal(kind)
        }
    }

    fn write(&mut self) -> String {
        let table = self.rng.random_range(0..TABLES);
        let key = self.rng.random_range(0..25);
        match self.rng.random_range(0..10) {
            0..5 => {
                let rows: Vec<String> = (0..self.rng.random_range(1..6))
                    .map(|n| {
                        let (a, c, d) = (
                            self.nullable(Kind::Int),
                            self.nullable(Kind::Text),
                            self.nullable(Kind::Numeric),
                        );
                        // Two rows of one key in one statement are an error of ON CONFLICT DO UPDATE.
                        format!(
                            "({}, {a}, {}, {c}, {d})",
                            (key + n) % 25,
                            self.literal(Kind::Int)
                        )
                    })
                    .collect();
                let conflict = self.pick(&[
                    "DO NOTHING",
                    "(id) DO UPDATE SET a = excluded.a, b = excluded.b, c = excluded.c",
                ]);
                format!(
                    "INSERT INTO t{table} VALUES {} ON CONFLICT {conflict}",
                    rows.join(", ")
                )
            }
            5 => format!(
                "UPDATE t{table} SET a = {}, d = d + 1 WHERE id < {key}",
                self.nullable(Kind::Int)
            ),
            6 => format!(
                "UPDATE t{table} SET c = {} WHERE b > {}",
                self.nullable(Kind::Text),
                self.literal(Kind::Int)
            ),
            7 => format!("UPDATE t{table} SET b = b + 1, d = NULL WHERE id = {key}"),
            8 => format!(
                "DELETE FROM t{table} WHERE id BETWEEN {key} AND {}",
                key + 4
            ),
            _ => {
                let other = (table + 1) % TABLES;
                format!(
                    "DELETE FROM t{table} USING t{other} o WHERE o.id = t{table}.id AND o.a IS NULL"
                )
            }
        }
    }

    /// A relation as it stands in FROM, under an alias: the text, and its columns, qualified.
    fn source(&mut self, depth: usize) -> (String, Vec<(String, Kind)>) {
        let relation = if depth > 0 && self.chance(0.4) {
            let query = self.query(depth - 1);
            Relation {
                sql: format!("({})", query.sql),
                ..query
            }
        } else {
            match self.relations.choose(&mut self.rng) {
                Some(relation) => relation.clone(),
                None => return (String::new(), Vec::new()),
            }
        };
        let alias = self.alias();
        let columns = relation
            .columns
            .iter()
            .map(|(name, kind)| (format!("{alias}.{name}"), *kind));
        (format!("{} {alias}", relation.sql), columns.collect())
    }

    /// One to three relations, joined.
    fn from(&mut self, depth: usize) -> (String, Vec<(String, Kind)>) {
        let (mut sql, mut columns) = self.source(depth);
        while self.chance(0.4) && columns.len() < 16 {
            let (right, more) = self.source(depth.saturating_sub(1));
            let how = self.pick(&["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
            // Equality alone, which a full join asks for in PostgreSQL.
            let Some((left, kind)) = columns.choose(&mut self.rng).cloned() else {
                break;
            };
            let Some((match_with, _)) = more.iter().find(|(_, other)| *other == kind) else {
                continue;
            };
            let mut on = format!("{left} = {match_with}");
            if how != "FULL JOIN" && self.chance(0.3) {
                on = format!("{on} AND {}", self.predicate(&more, 0));
            }
            sql = format!("{sql} {how} {right} ON {on}");
            columns.extend(more);
        }
        (sql, columns)
    }

    fn expression(&mut self, kind: Kind, columns: &[(String, Kind)]) -> String {
        let of: Vec<&String> = columns
            .iter()
            .filter(|(_, k)| *k == kind)
            .map(|(name, _)| name)
            .collect();
        let Some(column) = of.choose(&mut self.rng).map(|name| name.to_string()) else {
            return self.literal(kind);
        };
        let literal = self.literal(kind);
        match (self.rng.random_range(0..8), kind) {
            (0, _) => format!("coalesce({column}, {literal})"),
            (1, _) => format!(
                "CASE WHEN {} THEN {column} ELSE {literal} END",
                self.comparison(columns)
            ),
            (2, _) => format!("nullif({column}, {literal})"),
            (3, Kind::Int | Kind::Numeric) => format!("{column} + {literal}"),
            (4, Kind::Int | Kind::Numeric) => format!("- {column}"),
            (3, Kind::Text) => format!("{column} || {literal}"),
            (4, Kind::Text) => format!("upper({column})"),
            _ => column,
        }
    }

    fn comparison(&mut self, columns: &[(String, Kind)]) -> String {
        let Some((column, kind)) = columns.choose(&mut self.rng).cloned() else {
            return "true".to_string();
        };
        match self.rng.random_range(0..5) {
            0 => format!("{column} IS {}NULL", self.pick(&["", "NOT "])),
            1 => format!(
                "{column} IN ({}, {}, {})",
                self.literal(kind),
                self.literal(kind),
                self.literal(kind)
            ),
            _ => {
                let operator = self.pick(&["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM"]);
                let literal = self.literal(kind);
                format!("{column} {operator} {literal}")
            }
        }
    }

    fn predicate(&mut self, columns: &[(String, Kind)], depth: usize) -> String {
        match self.rng.random_range(0..8) {
            0 => format!("NOT ({})", self.comparison(columns)),
            1 => format!(
                "({} OR {})",
                self.comparison(columns),
                self.comparison(columns)
            ),
            2 => format!(
                "({} AND {})",
                self.comparison(columns),
                self.comparison(columns)
            ),
            3 | 4 if depth > 0 => self.subquery_predicate(columns, depth),
            _ => self.comparison(columns),
        }
    }

    /// EXISTS, IN, ANY, ALL or a scalar aggregate, correlated or not.
    fn subquery_predicate(&mut self, columns: &[(String, Kind)], depth: usize) -> String {
        let Some((outer, kind)) = columns.choose(&mut self.rng).cloned() else {
            return "true".to_string();
        };
        let (from, inner) = self.source(depth - 1);
        let Some((column, _)) = inner.iter().find(|(_, k)| *k == kind).cloned() else {
            return format!(
                "EXISTS (SELECT 1 FROM {from} WHERE {})",
                self.comparison(&inner)
            );
        };
        let filter = self.comparison(&inner);
        let other = columns.iter().zip(&inner).find(|((_, a), (_, b))| a == b);
        let correlated = match other {
            Some(((a, _), (b, _))) if self.chance(0.5) => format!(" AND {a} = {b}"),
            _ => String::new(),
        };
        let not = self.pick(&["", "NOT "]);
        match self.rng.random_range(0..4) {
            0 => {
                format!("{not}EXISTS (SELECT 1 FROM {from} WHERE {column} = {outer} AND {filter})")
            }
            1 => {
                format!("{outer} {not}IN (SELECT {column} FROM {from} WHERE {filter}{correlated})")
            }
            2 => {
                let (operator, which) = (self.pick(&["=", "<", ">="]), self.pick(&["ANY", "ALL"]));
                format!(
                    "{outer} {operator} {which} (SELECT {column} FROM {from} WHERE {filter}{correlated})"
                )
            }
            _ => {
                let (operator, aggregate) =
                    (self.pick(&["=", "<=", ">"]), self.pick(&["min", "max"]));
                format!(
                    "{outer} {operator} (SELECT {aggregate}({column}) FROM {from} WHERE {filter}{correlated})"
                )
            }
        }
    }

    fn condition(&mut self, columns: &[(String, Kind)], depth: usize) -> String {
        if self.chance(0.6) {
            format!(" WHERE {}", self.predicate(columns, depth))
        } else {
            String::new()
        }
    }

    fn query(&mut self, depth: usize) -> Relation {
        match self.rng.random_range(0..12) {
            0..4 => self.plain(depth),
            4..8 => self.aggregate(depth),
            8 if depth > 0 => self.set_operation(depth),
            9 => self.top(depth),
            10 => self.window(depth),
            _ => self.plain(depth),
        }
    }

    fn named(exprs: Vec<(String, Kind)>, form: impl FnOnce(String) -> String) -> Relation {
        let list = exprs
            .iter()
            .enumerate()
            .map(|(n, (sql, _))| format!("{sql} AS x{n}"));
        let sql = form(list.collect::<Vec<_>>().join(", "));
        let columns = exprs
            .iter()
            .enumerate()
            .map(|(n, (_, kind))| (format!("x{n}"), *kind));
        Relation {
            sql,
            columns: columns.collect(),
        }
    }

    fn kinds(&mut self) -> Vec<Kind> {
        let kinds = [Kind::Int, Kind::Int, Kind::Text, Kind::Numeric];
        let count = self.rng.random_range(1..4);
        (0..count)
            .map(|_| kinds.choose(&mut self.rng).copied().unwrap_or(Kind::Int))
            .collect()
    }

    fn plain_of(&mut self, kinds: &[Kind], depth: usize) -> Relation {
        let (from, columns) = self.from(depth);
        let exprs = kinds
            .iter()
            .map(|kind| (self.typed(*kind, &columns), *kind))
            .collect();
        let filter = self.condition(&columns, depth);
        let distinct = self.pick(&["", "", "DISTINCT "]);
        Grammar::named(exprs, |list| {
            format!("SELECT {distinct}{list} FROM {from}{filter}")
        })
    }

    /// An expression whose type is the kind's own, so that set operations meet no unknown literal.
    fn typed(&mut self, kind: Kind, columns: &[(String, Kind)]) -> String {
        let expression = self.expression(kind, columns);
        match kind {
            Kind::Text => format!("({expression})::text"),
            Kind::Numeric => format!("({expression})::numeric"),
            Kind::Int => expression,
        }
    }

    fn plain(&mut self, depth: usize) -> Relation {
        let kinds = self.kinds();
        self.plain_of(&kinds, depth)
    }

    fn set_operation(&mut self, depth: usize) -> Relation {
        let kinds = self.kinds();
        let (left, right) = (
            self.plain_of(&kinds, depth - 1),
            self.plain_of(&kinds, depth - 1),
        );
        let operator = self.pick(&[
            "UNION",
            "UNION ALL",
            "INTERSECT",
            "INTERSECT ALL",
            "EXCEPT",
            "EXCEPT ALL",
        ]);
        Relation {
            sql: format!("{} {operator} {}", left.sql, right.sql),
            columns: left.columns,
        }
    }

    fn aggregate(&mut self, depth: usize) -> Relation {
        let (from, columns) = self.from(depth);
        let keys: Vec<(String, Kind)> = (0..self.rng.random_range(0..3))
            .filter_map(|_| columns.choose(&mut self.rng).cloned())
            .collect();
        let mut exprs = keys.clone();
        for _ in 0..self.rng.random_range(1..4) {
            exprs.push(self.aggregate_call(&columns));
        }
        let filter = self.condition(&columns, depth);
        let group = if keys.is_empty() {
            String::new()
        } else {
            let list: Vec<String> = keys.into_iter().map(|(name, _)| name).collect();
            format!(" GROUP BY {}", list.join(", "))
        };
        let having = if self.chance(0.25) {
            " HAVING count(*) > 1"
        } else {
            ""
        };
        Grammar::named(exprs, |list| {
            format!("SELECT {list} FROM {from}{filter}{group}{having}")
        })
    }

    fn aggregate_call(&mut self, columns: &[(String, Kind)]) -> (String, Kind) {
        let kind = [Kind::Int, Kind::Text, Kind::Numeric]
            .choose(&mut self.rng)
            .copied()
            .unwrap_or(Kind::Int);
        let over = self.typed(kind, columns);
        let distinct = self.pick(&["", "", "DISTINCT "]);
        let filter = if self.chance(0.25) {
            format!(" FILTER (WHERE {})", self.comparison(columns))
        } else {
            String::new()
        };
        let (call, kind) = match (self.rng.random_range(0..6), kind) {
            (0, _) => ("count(*)".to_string(), Kind::Int),
            (1, _) => (format!("count({distinct}{over})"), Kind::Int),
            (2, kind) => (format!("min({over})"), kind),
            (3, kind) => (format!("max({over})"), kind),
            (_, Kind::Text) => (
                format!("string_agg({over}, ',' ORDER BY {over})"),
                Kind::Text,
            ),
            (4, _) => (format!("sum({distinct}{over})"), Kind::Numeric),
            _ => (format!("avg({over})"), Kind::Numeric),
        };
        (format!("{call}{filter}"), kind)
    }

    /// The first few of each group, in an order of all columns.
    fn top(&mut self, depth: usize) -> Relation {
        let inner = self.plain(depth.saturating_sub(1));
        let (alias, ranked) = (self.alias(), self.alias());
        let order: Vec<String> = inner
            .columns
            .iter()
            .map(|(name, _)| format!("{name}{}", self.pick(&["", " DESC", " NULLS FIRST"])))
            .collect();
        let names: Vec<&str> = inner
            .columns
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let partition = if self.chance(0.7) {
            format!("PARTITION BY {} ", names[0])
        } else {
            String::new()
        };
        let most = self.rng.random_range(1..4);
        let list = names.join(", ");
        Relation {
            sql: format!(
                "SELECT {list} FROM (SELECT {list}, row_number() OVER ({partition}ORDER BY {}) AS place \
                 FROM ({}) {alias}) {ranked} WHERE place <= {most}",
                order.join(", "),
                inner.sql
            ),
            columns: inner.columns.clone(),
        }
    }

    fn window(&mut self, depth: usize) -> Relation {
        let inner = self.plain(depth.saturating_sub(1));
        let alias = self.alias();
        let names: Vec<&str> = inner
            .columns
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let all = names.join(", ");
        let (call, kind) = match self.rng.random_range(0..4) {
            0 => (
                format!("count(*) OVER (PARTITION BY {})", names[0]),
                Kind::Int,
            ),
            1 => (format!("rank() OVER (ORDER BY {})", names[0]), Kind::Int),
            2 => (
                format!("count({}) OVER (ORDER BY {all})", names[0]),
                Kind::Int,
            ),
            _ => (
                format!("lag({}) OVER (ORDER BY {all})", names[0]),
                inner.columns[0].1,
            ),
        };
        let mut exprs: Vec<(String, Kind)> = inner.columns.clone();
        exprs.push((call, kind));
        Grammar::named(exprs, |list| {
            format!("SELECT {list} FROM ({}) {alias}", inner.sql)
        })
    }
}
