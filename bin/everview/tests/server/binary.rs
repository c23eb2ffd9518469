//! Every type in binary, both ways, through a driver: the bytes are those that PostgreSQL 15 sent.

use crate::{Server, within_limit};
use bytes::{BufMut, BytesMut};
use std::collections::BTreeMap;
use std::error::Error;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

/// Type, text and bytes, a line each.
const VALUES: &str = include_str!("../../../../crates/repr/src/binary/postgres_15.tsv");

/// A value as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Raw(Vec<u8>);

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl FromSql<'_> for Raw {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Raw, Box<dyn Error + Sync + Send>> {
        Ok(Raw(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn unhex(hex: &str) -> Raw {
    let digits: Vec<u8> = hex.chars().map(|c| c.to_digit(16).unwrap() as u8).collect();
    Raw(digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect())
}

/// By type, texts and bytes.
fn values() -> BTreeMap<&'static str, Vec<(String, Raw)>> {
    let mut types: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for line in VALUES.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let text = fields[1]
            .replace("\\t", "\t")
            .replace("\\n", "\n")
            .replace("\\\\", "\\");
        types
            .entry(fields[0])
            .or_default()
            .push((text, unhex(fields[2])));
    }
    types
}

#[test]
fn every_type_travels_in_binary_both_ways() {
    let server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        let types = values();
        assert!(types.len() > 35, "{} types", types.len());
        for (ty, values) in &types {
            let sql = format!("SELECT $1::{ty}, $2::text::{ty}, NULL::{ty}");
            let given = client.prepare(&sql).await.unwrap();
            for (text, bytes) in values {
                let row = client.query_one(&given, &[bytes, text]).await.unwrap();
                assert_eq!(&row.get::<_, Raw>(0), bytes, "{ty} {text}");
                assert_eq!(&row.get::<_, Raw>(1), bytes, "{ty} {text} from its text");
                assert_eq!(row.get::<_, Option<Raw>>(2), None);
            }
        }
    });
}

#[test]
fn a_parameter_has_the_type_of_the_column_that_it_goes_to() {
    let server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        for (number, (ty, values)) in values().iter().enumerate() {
            let create = format!("CREATE TABLE t{number} (n int, v {ty})");
            client.batch_execute(&create).await.unwrap();
            let insert = format!("INSERT INTO t{number} VALUES ($1, $2)");
            let insert = client.prepare(&insert).await.unwrap();
            for (n, (_, bytes)) in values.iter().enumerate() {
                client
                    .execute(&insert, &[&(n as i32), bytes])
                    .await
                    .unwrap();
            }
            client.execute(&insert, &[&-1, &None::<Raw>]).await.unwrap();
            let select = format!("SELECT v FROM t{number} ORDER BY n");
            let rows = client.query(&select, &[]).await.unwrap();
            let got: Vec<Option<Raw>> = rows.iter().map(|row| row.get(0)).collect();
            let sent = values.iter().map(|(_, bytes)| Some(bytes.clone()));
            let expected: Vec<_> = [None].into_iter().chain(sent).collect();
            assert_eq!(got, expected, "{ty}");
        }
    });
}
