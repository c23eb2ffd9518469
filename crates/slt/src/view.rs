//! A query as a materialized view: how it is created, read and dropped.
//!
//! Invariant: reading the view must give what the query would have given, its order included; where
//! that cannot be had, the query is not made a view and the reason is kept. The module runs nothing.

use sqllogictest::SortMode;

use crate::check::Order;
use crate::classify::{Class, classify};
use crate::order::{Reading, outermost};
use crate::script::{Expected, Query};

/// How a query runs in the modes that use views.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// As a view.
    View(View),
    /// As a plain query, for this reason.
    Plain(&'static str),
}

/// A query as a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The defining query.
    body: String,
    /// Number of columns to name `c1`, `c2`, ...; 0 to keep the query's own names.
    columns: usize,
    /// The keys to order by on reading.
    keys: Option<String>,
    /// Whether the reading has the query's order.
    pub order: Order,
}

/// The form that a query takes.
pub fn form(sql: &str, query: &Query) -> Form {
    if classify(sql) != Class::Read {
        return Form::Plain("it is not a query that only reads");
    }
    let columns = query.letters.len();
    let view = |body: String, columns, keys, order| {
        Form::View(View {
            body,
            columns,
            keys,
            order,
        })
    };
    let Some(split) = outermost(sql) else {
        return view(sql.to_string(), columns, None, Order::Kept);
    };
    if query.sort != SortMode::NoSort || matches!(query.expected, Expected::Error(_)) {
        return view(split.body, columns, None, Order::Kept);
    }
    match split.reading {
        Reading::Positions(keys) => view(split.body, columns, Some(keys), Order::Kept),
        Reading::OwnNames(keys) => view(split.body, 0, Some(keys), Order::Kept),
        Reading::Unmapped if matches!(query.expected, Expected::Lines(_)) => {
            view(split.body, columns, None, Order::Lost)
        }
        Reading::Unmapped => {
            Form::Plain("its ORDER BY is no output column and its result is hashed")
        }
    }
}

impl View {
    /// The statement that creates it.
    pub fn create(&self, name: &str) -> String {
        let columns = match self.columns {
            0 => String::new(),
            count => format!(
                "({})",
                (1..=count)
                    .map(|n| format!("c{n}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        };
        // A newline keeps a trailing line comment of the query out of whatever follows.
        format!(
            "CREATE MATERIALIZED VIEW {name}{columns} AS {}\n",
            self.body
        )
    }

    /// The query that reads it.
    pub fn read(&self, name: &str) -> String {
        match &self.keys {
            Some(keys) => format!("SELECT * FROM {name} ORDER BY {keys}"),
            None => format!("SELECT * FROM {name}"),
        }
    }

    /// The statement that drops it.
    pub fn drop(name: &str) -> String {
        format!("DROP MATERIALIZED VIEW {name}")
    }

    /// Whether an error means that the query's own column names do not serve: two of one name
    /// (42701), or an ORDER BY on an input column (42703).
    pub fn names_do_not_serve(&self, sqlstate: &str) -> bool {
        self.columns == 0 && self.keys.is_some() && matches!(sqlstate, "42701" | "42703")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Kind, parse};

    fn form_of(text: &str) -> Form {
        let script = parse("f", text, &[]).unwrap();
        let record = &script.records[0];
        match &record.kind {
            Kind::Query(query) => form(&record.sql, query),
            Kind::Statement(_) => panic!("a statement"),
        }
    }

    fn view_of(text: &str) -> View {
        match form_of(text) {
            Form::View(view) => view,
            Form::Plain(reason) => panic!("{reason}"),
        }
    }

    #[test]
    fn columns_are_named_by_the_letters_and_order_moves_to_the_reading() {
        let view = view_of("query IT nosort\nSELECT a, a FROM t ORDER BY 2,1\n----\n1\nx\n");
        assert_eq!(
            view.create("v"),
            "CREATE MATERIALIZED VIEW v(c1, c2) AS SELECT a, a FROM t\n"
        );
        assert_eq!(view.read("v"), "SELECT * FROM v ORDER BY 2, 1");
        assert_eq!(view.order, Order::Kept);
    }

    #[test]
    fn a_sorted_result_needs_no_order() {
        let view = view_of("query I rowsort\nSELECT a FROM t ORDER BY b\n----\n1\n");
        assert_eq!(view.read("v"), "SELECT * FROM v");
        assert_eq!(view.order, Order::Kept);
    }

    #[test]
    fn an_order_that_cannot_be_kept_is_lost_or_keeps_the_query_plain() {
        assert_eq!(
            view_of("query I nosort\nSELECT a FROM t ORDER BY b\n----\n1\n").order,
            Order::Lost
        );
        let hashed = "9 values hashing to 3c13dee48d9356ae19af2515e05e6b54";
        let form = form_of(&format!(
            "query I nosort\nSELECT a FROM t ORDER BY b\n----\n{hashed}\n"
        ));
        assert!(matches!(form, Form::Plain(_)));
    }

    #[test]
    fn what_writes_stays_plain() {
        assert!(matches!(
            form_of("query I\nINSERT INTO t VALUES (1) RETURNING a\n----\n1\n"),
            Form::Plain(_)
        ));
    }

    #[test]
    fn own_names_are_kept_for_a_star_and_may_not_serve() {
        let view = view_of("query II nosort\nSELECT * FROM t ORDER BY a\n----\n1\n2\n");
        assert_eq!(
            view.create("v"),
            "CREATE MATERIALIZED VIEW v AS SELECT * FROM t\n"
        );
        assert_eq!(view.read("v"), "SELECT * FROM v ORDER BY a");
        assert!(view.names_do_not_serve("42701") && !view.names_do_not_serve("22012"));
    }
}
