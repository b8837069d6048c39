//! TOML.

use toml::de::{DeTable, DeValue};

use super::{Key, Node, Problem, Value};

pub(crate) fn read(text: &str) -> Result<Node, Problem> {
    let lines = Lines::of(text);
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| lines.at(span.start));
        (line, error.message().lines().collect::<Vec<_>>().join(", "))
    })?;
    Ok(lines.table(table.get_ref(), 1))
}

/// Where the lines of a text begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self(std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect())
    }

    fn at(&self, offset: usize) -> u64 {
        self.0.partition_point(|start| *start <= offset).max(1) as u64
    }

    fn table(&self, table: &DeTable, line: u64) -> Node {
        let mut pairs: Vec<_> = table.iter().collect();
        pairs.sort_by_key(|(key, _)| key.span().start);
        let pairs = pairs.into_iter().map(|(key, value)| {
            let line = self.at(key.span().start);
            let key = Key { name: key.get_ref().to_string(), line };
            // A table written as `[a.b]` has no better place than its key's.
            (key, self.value(value.get_ref(), line.max(self.at(value.span().start))))
        });
        Node { line, value: Value::Map(pairs.collect()) }
    }

    fn value(&self, value: &DeValue, line: u64) -> Node {
        let value = match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => {
                let number = i64::from_str_radix(number.as_str(), number.radix())
                    .map_or_else(|_| number.as_str().to_owned(), |number| number.to_string());
                Value::Number(number)
            }
            DeValue::Float(number) => Value::Number(number.as_str().to_owned()),
            DeValue::Boolean(bool) => Value::Bool(*bool),
            DeValue::Datetime(time) => Value::Text(time.to_string()),
            DeValue::Array(items) => {
                let items =
                    items.iter().map(|item| self.value(item.get_ref(), self.at(item.span().start)));
                Value::List(items.collect())
            }
            DeValue::Table(table) => return self.table(table, line),
        };
        Node { line, value }
    }
}
