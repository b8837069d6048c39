//! From a table `[backends.NAME]` to a [`Command`]. Whoever wrote it is told the
//! line of what is wrong, and of every key that does nothing.

use std::collections::BTreeMap;

use regex_lite::Regex;

use super::spec::{
    AnswerFrom, AnswerRule, Command, Found, ModeRule, Output, Prompt, Show, Signs, Take, Thread,
    UsageRule, Where,
};
use crate::document::{Key, Node, Problem, Value};
use crate::job::BackendName;

/// A definition that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub name: BackendName,
    /// What it says.
    pub command: Command,
    /// Keys that do nothing.
    pub unknown: Vec<Unknown>,
}

/// A key that nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// Its line, from 1.
    pub line: u64,
    /// With its tables.
    pub key: String,
    /// The known one that is nearly the same, with its tables.
    pub nearest: Option<String>,
}

type Read<T> = Result<T, Problem>;

/// Reads a table; `ready` gives the table of a ready one, for `like`.
pub(in super::super) fn read(
    name: &Key,
    node: &Node,
    ready: impl Fn(&str) -> Option<Node>,
) -> Read<Definition> {
    let what = format!("backends.{}", name.name);
    let wrong = |problem: String| (name.line, problem);
    let backend =
        BackendName::new(&name.name).map_err(|e| wrong(format!("'{}' {e}", name.name)))?;
    if BackendName::BUILT_IN.contains(&backend) {
        return Err(wrong(format!("'{what}' has the name of a backend that is part of cx")));
    }
    let whole = laid_over(&what, node, ready)?;
    let mut table = Table::of(what, name.line, &whole)?;
    let command = command(&mut table)?;
    Ok(Definition { name: backend, command, unknown: table.unknown() })
}

/// The table with what it does not say taken from the one that it is like.
fn laid_over(what: &str, node: &Node, ready: impl Fn(&str) -> Option<Node>) -> Read<Node> {
    let Some(like) = node.of("like") else { return Ok(node.clone()) };
    let base = like.text().and_then(|name| ready(&name)).ok_or_else(|| {
        (like.line, format!("'{what}.like' is no ready backend: `cx backends` lists them"))
    })?;
    let own = node.map().unwrap_or_default();
    let rest =
        base.map().unwrap_or_default().iter().filter(|(key, _)| node.of(&key.name).is_none());
    let pairs = own.iter().filter(|(key, _)| key.name != "like").chain(rest).cloned().collect();
    Ok(Node { line: node.line, value: Value::Map(pairs) })
}

fn command(table: &mut Table<'_>) -> Read<Command> {
    let argv = table.words("argv", &["answer-file"])?;
    if argv.first().is_none_or(|program| program.is_empty() || program.contains('{')) {
        return Err(table.wrong("argv", "has to begin with a program"));
    }
    let output = table.choice(
        "output",
        &[("text", Output::Text), ("json", Output::Json), ("events", Output::Events)],
    )?;
    let output = output.unwrap_or_default();
    let answer = match table.table("answer")? {
        Some(mut own) => answer(&mut own, output)?,
        None if output == Output::Text => AnswerRule::default(),
        None => return Err(table.wrong("answer", "has to say where in the output the answer is")),
    };
    let thread = table.inner("thread", |own| thread(own, output))?;
    let model = table.text("model")?;
    let model_args = table.words("model-args", &["model"])?;
    if model.as_ref().is_some_and(|model| model.is_empty() || model.starts_with('-')) {
        return Err(table.wrong("model", "is no name of a model"));
    }
    if model.is_some() && model_args.is_empty() {
        return Err(table.wrong("model", "can be told to it only with 'model-args'"));
    }
    if !model_args.is_empty() && !model_args.iter().any(|word| word.contains("{model}")) {
        return Err(table.wrong("model-args", "has no {model} in it"));
    }
    let command = Command {
        prompt: prompt(table)?,
        prompt_max: table.number("prompt-max")?,
        args: table.words("args", &["answer-file"])?,
        model,
        model_args,
        max_turns_arg: table.words_of_one("max-turns-arg", "turns")?,
        reader: mode(table, "reader")?,
        writer: mode(table, "writer")?,
        env: table.variables("env")?,
        env_remove: table.words("env-remove", &[])?,
        writes: table.words("writes", &[])?,
        output,
        success: table.inner("success", |own| own.within().map(Some))?.flatten(),
        failure: table.inner("failure", signs)?,
        usage: table.inner("usage", usage)?,
        rate_limit: table.inner("rate-limit", signs)?,
        refusal: table.inner("refusal", signs)?,
        auth: table.inner("auth", signs)?,
        turn_limit: table.inner("turn-limit", signs)?,
        show: show(table)?,
        install: table.text("install")?,
        version: table.words("version", &[])?,
        about: table.text("about")?,
        checked: table.text("checked")?,
        argv,
        answer,
        thread,
    };
    consistent(&command, table)?;
    Ok(command)
}

/// What no key alone can be wrong about.
fn consistent(command: &Command, table: &Table<'_>) -> Read<()> {
    if command.reader.is_none() && command.writer.is_none() {
        return Err(table.wrong("writer", "is false, as 'reader' is: it could do nothing"));
    }
    let modes = [&command.reader, &command.writer];
    let mut words = command.argv.iter().chain(&command.args).chain(match &command.prompt {
        Prompt::Args(words) => words.as_slice(),
        Prompt::Stdin => &[],
    });
    let in_modes = modes.into_iter().flatten().flat_map(|mode| &mode.args);
    let names_file = words.by_ref().any(|word| word.contains("{answer-file}"))
        || in_modes.into_iter().any(|word| word.contains("{answer-file}"));
    let signs = [&command.failure, &command.rate_limit, &command.refusal, &command.turn_limit];
    let looks_by_path = command.success.is_some()
        || command.usage.is_some()
        || signs.into_iter().flatten().any(|signs| signs.found.is_some());
    match (command.answer.from, names_file) {
        (AnswerFrom::File, false) => {
            Err(table.wrong("answer", "comes from a file, and no argument has {answer-file} in it"))
        }
        _ if command.output == Output::Text && looks_by_path => {
            Err(table.wrong("output", "is text, in which nothing can be looked for by path"))
        }
        _ => Ok(()),
    }
}

fn prompt(table: &mut Table<'_>) -> Read<Prompt> {
    let Some(node) = table.take("prompt") else { return Ok(Prompt::Stdin) };
    if node.text().as_deref() == Some("stdin") {
        return Ok(Prompt::Stdin);
    }
    if node.list().is_none() {
        return Err(table.wrong("prompt", "is neither \"stdin\" nor a list of arguments"));
    }
    let words = table.words("prompt", &["prompt", "prompt-file", "answer-file"])?;
    if !words.iter().any(|word| word.contains("{prompt}") || word.contains("{prompt-file}")) {
        return Err(table.wrong("prompt", "has neither {prompt} nor {prompt-file} in it"));
    }
    Ok(Prompt::Args(words))
}

fn mode(table: &mut Table<'_>, key: &'static str) -> Read<Option<ModeRule>> {
    match table.take(key).map(|node| &node.value) {
        None | Some(Value::Bool(true)) => return Ok(Some(ModeRule::default())),
        Some(Value::Bool(false)) => return Ok(None),
        Some(_) => {}
    }
    table.inner(key, |own| {
        let args = own.words("args", &["answer-file"])?;
        let env = own.variables("env")?;
        // There is no such key for a reader: it is always confined.
        let unconfined = key == "writer" && own.bool("confine")? == Some(false);
        Ok(ModeRule { args, env, unconfined })
    })
}

fn answer(table: &mut Table<'_>, output: Output) -> Read<AnswerRule> {
    let from = table.choice(
        "from",
        &[
            ("stdout", AnswerFrom::Stdout),
            ("last-line", AnswerFrom::LastLine),
            ("file", AnswerFrom::File),
        ],
    )?;
    let path = table.text("path")?;
    let from = match (from, &path, output) {
        (Some(_), Some(_), _) => return Err(table.wrong("path", "is for answers without 'from'")),
        (Some(AnswerFrom::Stdout | AnswerFrom::LastLine), _, Output::Json | Output::Events) => {
            return Err(table.wrong("from", "is for text, and the output is JSON: give a 'path'"));
        }
        (Some(from), None, _) => from,
        (None, Some(_), Output::Text) => {
            return Err(table.wrong("path", "is for JSON, and the output is text"));
        }
        (None, Some(_), _) => AnswerFrom::Path,
        (None, None, Output::Text) => AnswerFrom::Stdout,
        (None, None, _) => return Err(table.wrong("path", "is missing")),
    };
    let take = [("last", Take::Last), ("first", Take::First), ("join", Take::Join)];
    Ok(AnswerRule {
        from,
        within: table.within()?,
        path: path.unwrap_or_default(),
        take: table.choice("take", &take)?.unwrap_or_default(),
        restart: table.inner("restart", |own| own.all_within().map(Some))?.flatten(),
    })
}

fn thread(table: &mut Table<'_>, output: Output) -> Read<Thread> {
    let path = table.text("path")?;
    let text = table.pattern("text")?;
    let within = table.within()?;
    if path.is_some() && output == Output::Text {
        return Err(table.wrong("path", "is for JSON, and the output is text: give a 'text'"));
    }
    let thread = Thread {
        found: path.map(|path| Found { within, path }),
        text,
        new_args: table.words("new-args", &["thread"])?,
        resume_args: table.words("resume-args", &["thread"])?,
        resume_argv: table.words("resume-argv", &["thread"])?,
    };
    if thread.found.is_none() && thread.text.is_none() && thread.new_args.is_empty() {
        return Err(table.wrong("path", "or 'text' or 'new-args' has to say what a thread's id is"));
    }
    Ok(thread)
}

fn usage(table: &mut Table<'_>) -> Read<UsageRule> {
    Ok(UsageRule {
        within: table.within()?,
        input: table.words("input", &[])?,
        cached: table.words("cached", &[])?,
        output: table.words("output", &[])?,
        cost_usd: table.words("cost-usd", &[])?,
        sum: table.bool("sum")?.unwrap_or_default(),
        whole_thread: table.bool("whole-thread")?.unwrap_or_default(),
    })
}

fn signs(table: &mut Table<'_>) -> Read<Signs> {
    let text = table.words("text", &[])?;
    for pattern in &text {
        Regex::new(pattern).map_err(|e| table.wrong("text", &format!("is no pattern: {e}")))?;
    }
    let path = table.text("path")?;
    let within = table.within()?;
    Ok(Signs {
        exit: table.numbers("exit")?,
        text,
        found: path.map(|path| Found { within, path }),
        hint: table.text("hint")?,
    })
}

fn show(table: &mut Table<'_>) -> Read<Vec<Show>> {
    let Some(node) = table.take("show") else { return Ok(Vec::new()) };
    let Some(items) = node.list() else { return Err(table.wrong("show", "is no list of tables")) };
    let mut all = Vec::new();
    for item in items {
        let mut own = Table::of(format!("{}.show", table.what), item.line, item)?;
        let text = own.text("text")?.unwrap_or_default();
        if text.trim().is_empty() {
            return Err(own.wrong("text", "is missing"));
        }
        all.push(Show { within: own.within()?, text });
        table.unknown.extend(own.unknown());
    }
    Ok(all)
}

/// A table whose keys are taken out one by one, so that those that nobody asked
/// for are known in the end.
struct Table<'n> {
    /// Its name, with the tables around it.
    what: String,
    line: u64,
    pairs: &'n [(Key, Node)],
    /// Every key that was asked for.
    known: Vec<&'static str>,
    /// Of the tables in it.
    unknown: Vec<Unknown>,
}

impl<'n> Table<'n> {
    fn of(what: String, line: u64, node: &'n Node) -> Read<Self> {
        match node.map() {
            Some(pairs) => Ok(Self { what, line, pairs, known: Vec::new(), unknown: Vec::new() }),
            None => Err((node.line, format!("'{what}' is {}, and has to be a table", node.kind()))),
        }
    }

    /// That a key is wrong, and how: the end of a sentence.
    fn wrong(&self, key: &str, problem: &str) -> Problem {
        let line = self.pairs.iter().find(|(own, _)| own.name == key).map(|(own, _)| own.line);
        (line.unwrap_or(self.line), format!("'{}.{key}' {problem}", self.what))
    }

    fn take(&mut self, key: &'static str) -> Option<&'n Node> {
        self.known.push(key);
        self.pairs.iter().find(|(own, _)| own.name == key).map(|(_, node)| node)
    }

    fn text(&mut self, key: &'static str) -> Read<Option<String>> {
        let Some(node) = self.take(key) else { return Ok(None) };
        match &node.value {
            Value::Text(text) => Ok(Some(text.clone())),
            _ => Err(self.wrong(key, &format!("is {}, and has to be a text", node.kind()))),
        }
    }

    fn bool(&mut self, key: &'static str) -> Read<Option<bool>> {
        match self.take(key).map(|node| &node.value) {
            None => Ok(None),
            Some(Value::Bool(bool)) => Ok(Some(*bool)),
            Some(_) => Err(self.wrong(key, "is neither true nor false")),
        }
    }

    fn number(&mut self, key: &'static str) -> Read<Option<u64>> {
        let Some(node) = self.take(key) else { return Ok(None) };
        let number = node.text().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
        number.map(Some).ok_or_else(|| self.wrong(key, "is no number from 1 on"))
    }

    /// One number or several.
    fn numbers(&mut self, key: &'static str) -> Read<Vec<i64>> {
        let Some(node) = self.take(key) else { return Ok(Vec::new()) };
        let items = node.list().unwrap_or(std::slice::from_ref(node));
        let number = |node: &Node| match &node.value {
            Value::Number(number) => number.parse().ok(),
            _ => None,
        };
        let numbers: Option<Vec<i64>> = items.iter().map(number).collect();
        numbers.ok_or_else(|| self.wrong(key, "is no list of numbers"))
    }

    /// One text or several, with these placeholders besides those that may stand
    /// anywhere.
    fn words(&mut self, key: &'static str, placeholders: &[&str]) -> Read<Vec<String>> {
        let Some(node) = self.take(key) else { return Ok(Vec::new()) };
        let items = node.list().unwrap_or(std::slice::from_ref(node));
        let word = |node: &Node| match &node.value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        };
        let words: Option<Vec<String>> = items.iter().map(word).collect();
        let words = words.ok_or_else(|| self.wrong(key, "is no list of texts"))?;
        if words.iter().any(|word| word.contains('\0')) {
            return Err(self.wrong(key, "has a NUL byte, which no argument can have"));
        }
        for name in words.iter().flat_map(|word| names(word)) {
            if !ANYWHERE.contains(&name) && !placeholders.contains(&name) {
                let known: Vec<_> = placeholders
                    .iter()
                    .chain(&ANYWHERE)
                    .map(|name| format!("{{{name}}}"))
                    .collect();
                let problem = format!("has {{{name}}} in it; there are {}", known.join(", "));
                return Err(self.wrong(key, &problem));
            }
        }
        Ok(words)
    }

    /// A text with this placeholder in it.
    fn words_of_one(&mut self, key: &'static str, name: &str) -> Read<Option<String>> {
        let text = self.text(key)?;
        match &text {
            Some(text) if !text.contains(&format!("{{{name}}}")) => {
                Err(self.wrong(key, &format!("has no {{{name}}} in it")))
            }
            _ => Ok(text),
        }
    }

    fn pattern(&mut self, key: &'static str) -> Read<Option<String>> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        let regex =
            Regex::new(&text).map_err(|e| self.wrong(key, &format!("is no pattern: {e}")))?;
        if regex.captures_len() < 2 {
            return Err(self.wrong(key, "has no group (...) that is the id"));
        }
        Ok(Some(text))
    }

    fn variables(&mut self, key: &'static str) -> Read<BTreeMap<String, String>> {
        let Some(node) = self.take(key) else { return Ok(BTreeMap::new()) };
        let pairs = node.map().unwrap_or_default().iter();
        let all: Option<BTreeMap<_, _>> =
            pairs.map(|(name, value)| Some((name.name.clone(), value.text()?))).collect();
        all.filter(|all| !all.is_empty() && all.keys().all(|name| !name.contains(['=', '\0'])))
            .ok_or_else(|| self.wrong(key, "is no table of variables and their values"))
    }

    fn choice<T: Copy>(&mut self, key: &'static str, all: &[(&str, T)]) -> Read<Option<T>> {
        let Some(word) = self.text(key)? else { return Ok(None) };
        let found = all.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
        found.map(Some).ok_or_else(|| {
            let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
            self.wrong(key, &format!("is '{word}': write {}", names.join(" or ")))
        })
    }

    fn table(&mut self, key: &'static str) -> Read<Option<Self>> {
        let line = self.wrong(key, "").0;
        let Some(node) = self.take(key) else { return Ok(None) };
        Self::of(format!("{}.{key}", self.what), line, node).map(Some)
    }

    /// What `read` makes of a table in this one.
    fn inner<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Self) -> Read<T>,
    ) -> Read<Option<T>> {
        let Some(mut own) = self.table(key)? else { return Ok(None) };
        let value = read(&mut own)?;
        self.unknown.extend(own.unknown());
        Ok(Some(value))
    }

    /// The condition under `where`.
    fn within(&mut self) -> Read<Where> {
        Ok(self.inner("where", Self::all_within)?.unwrap_or_default())
    }

    /// This table as a condition.
    fn all_within(&mut self) -> Read<Where> {
        let mut all = BTreeMap::new();
        for (key, node) in self.pairs {
            if matches!(node.value, Value::Map(_) | Value::List(_) | Value::Null) {
                return Err((
                    key.line,
                    format!("'{}.{}' is no text, number, true or false", self.what, key.name),
                ));
            }
            all.insert(key.name.clone(), node.json());
        }
        // Any path may be a key.
        self.pairs = &[];
        Ok(Where(all))
    }

    fn unknown(mut self) -> Vec<Unknown> {
        let what = &self.what;
        let own = self.pairs.iter().filter(|(key, _)| !self.known.contains(&key.name.as_str()));
        let own = own.map(|(key, _)| {
            let near = |known: &&&str| strsim::osa_distance(known, &key.name);
            let nearest = self.known.iter().min_by_key(near);
            let nearest = nearest.filter(|known| near(known) * 3 <= key.name.len().max(3));
            Unknown {
                line: key.line,
                key: format!("{what}.{}", key.name),
                nearest: nearest.map(|known| format!("{what}.{known}")),
            }
        });
        self.unknown.extend(own);
        self.unknown
    }
}

/// Placeholders that can stand in every argument.
const ANYWHERE: [&str; 5] = ["cwd", "root", "tmp", "id", "mode"];

/// The names in braces. `{"a": 1}` has none: a name is of small letters and `-`.
pub(super) fn names(word: &str) -> impl Iterator<Item = &str> {
    word.split('{').skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once('}')?;
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        is_name.then_some(name)
    })
}
