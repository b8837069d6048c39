//! The tools of the memory, for both faces. Names and arguments are those that prompts
//! written for Ruflo use; what such a prompt says besides is passed over.

use crate::{
    arguments::{Arguments, Refusal, Words},
    child::Cx,
    tool::{Answer, Argument, Description, Effect, Kind, flag, number, text},
};

const NAMESPACE: Argument = text("namespace", "default: default");

/// What both faces have.
pub(crate) const TOOLS: [Description; 4] = [
    Description {
        name: "memory_store",
        says: "Store a value for all workers of this repository under a key",
        effect: Effect::Changes,
        takes: &[
            text("key", ""),
            Argument {
                name: "value",
                kind: Kind::Anything,
                says: "text; other JSON is stored as JSON",
            },
            NAMESPACE,
            flag("upsert", "replace what the key holds; default true"),
            text("ttl", "forget it after this long: 30m, 7d"),
            text("tags", "a,b"),
        ],
        needs: &["key", "value"],
    },
    Description {
        name: "memory_search",
        says: "Find entries by words, the best first, each with the passage that matches",
        effect: Effect::Looks,
        takes: &[
            text("query", ""),
            text("namespace", "default: all"),
            number("limit", "default 5"),
        ],
        needs: &["query"],
    },
    Description {
        name: "memory_get",
        says: "The value of one key",
        effect: Effect::Looks,
        takes: &[text("key", ""), NAMESPACE],
        needs: &["key"],
    },
    Description {
        name: "memory_list",
        says: "The keys there are",
        effect: Effect::Looks,
        takes: &[text("namespace", "default: all")],
        needs: &[],
    },
];

/// Answers one of them.
pub(crate) async fn call(cx: &Cx, tool: &str, said: Arguments<'_>) -> Result<Answer, Refusal> {
    let mut words = Words::of(&["memory"]);
    let namespace = said.text("namespace")?;
    match tool {
        "memory_store" => {
            let key = said.needed("key")?;
            let value = said.anything("value")?;
            words.own("store");
            words.option("namespace", namespace);
            words.option("ttl", said.text("ttl")?);
            let tags = said.texts("tags")?.join(",");
            words.option("tags", Some(tags.as_str()).filter(|tags| !tags.is_empty()));
            if said.flag("upsert")? == Some(false) {
                words.own("--no-upsert");
            }
            // The value goes on stdin: a command line has a limit, and others can read it.
            let words = words.behind(&[key, "-"]);
            Ok(cx.answer(&words, Some(&value), &format!("stored {key}")).await)
        }
        "memory_search" => {
            let query = said.needed("query")?;
            words.own("search");
            words.option("namespace", namespace);
            let limit = said.number("limit")?.unwrap_or(5).to_string();
            words.option("limit", Some(&limit));
            Ok(cx.answer(&words.behind(&[query]), None, "nothing matches").await)
        }
        "memory_get" => {
            let key = said.needed("key")?;
            words.own("get");
            words.own("--value-only");
            words.option("namespace", namespace);
            Ok(cx.answer(&words.behind(&[key]), None, "").await)
        }
        _ => {
            words.own("list");
            words.option("namespace", namespace);
            Ok(cx.answer(&words.behind(&[]), None, "nothing is stored").await)
        }
    }
}
