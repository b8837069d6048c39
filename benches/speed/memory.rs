//! How long a search of the memory takes.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use crate::{
    Result,
    ground::{Ground, time},
    report::{Row, median, tell},
};

/// How many entries there are.
const ENTRIES: u64 = 100_000;

/// `cx memory search` against `rg` over the file that the entries are in: a search that
/// ranks, and one that only looks.
pub(crate) fn memory(quick: bool) -> Result<Vec<Row>> {
    let ground = Ground::new()?;
    let words = words();
    let file = ground.path("entries.jsonl");
    write(&file, &words)?;
    let mut import = ground.cx(["memory", "import"]);
    time(import.arg(&file))?;
    let log = ground.store().dir().join("memory/entries.jsonl");
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let queries = [
        ("two rare words", format!("{} {}", word(3000), word(4000))),
        ("one word that most entries have", word(0).to_owned()),
        (
            "ten words, common and rare",
            [0, 1, 2, 5, 10, 50, 100, 500, 1000, 5000].map(word).join(" "),
        ),
    ];
    let rg = rg();
    let mut samples = vec![Vec::new(); queries.len()];
    let mut baseline = vec![Vec::new(); queries.len()];
    for _ in 0..if quick { 20 } else { 100 } {
        for (at, (_, query)) in queries.iter().enumerate() {
            if let Some(rg) = &rg {
                let any = query.replace(' ', "|");
                let mut command = ground.command(rg);
                baseline[at].push(time(
                    command.args(["--count", "--word-regexp", "--no-config", &any]).arg(&log),
                )?);
            }
            samples[at].push(time(ground.cx(["memory", "search"]).arg(query))?);
        }
    }
    let mut rows = Vec::new();
    for (at, (what, _)) in queries.iter().enumerate() {
        tell(&format!("cx memory search: {what}"), &samples[at]);
        let what = format!("`cx memory search` among {ENTRIES} entries; {what}");
        let millis = median(&samples[at]) * 1e3;
        rows.push(Row::figure(&what, format!("{millis:.1} ms"), "20 ms", millis < 20.0));
        if rg.is_some() {
            tell("rg --count over the same file", &baseline[at]);
            let ratio = median(&samples[at]) / median(&baseline[at]);
            rows.push(Row::ratio(&what, "`rg --count`, the same words and file", ratio, 1.0));
        } else {
            rows.push(Row::skipped(&what, "rg is not installed (apt-get install ripgrep)"));
        }
    }
    Ok(rows)
}

/// Words that nobody else has; the first of them are as common as in prose.
fn words() -> Vec<String> {
    let syllables: Vec<String> = "bcdfghjklmnprstvwz"
        .chars()
        .flat_map(|first| "aeiou".chars().map(move |second| format!("{first}{second}")))
        .collect();
    let at = |index: usize| syllables.get(index % syllables.len()).map_or("", String::as_str);
    (0..20_000)
        .map(|n| {
            let n = n * 37 + 11;
            format!("{}{}{}", at(n), at(n / syllables.len()), at(n / syllables.len().pow(2)))
        })
        .collect()
}

/// Numbers that look drawn by lot, the same ones each time.
struct Lot(u64);

impl Lot {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    /// Small ones far more often than large ones, as words are.
    fn rank(&mut self, below: u64) -> usize {
        let power = self.next(below.ilog2().into()) + 1;
        usize::try_from(self.next((1 << (power + 1)).min(below))).unwrap_or_default()
    }
}

fn write(path: &Path, words: &[String]) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut lot = Lot(0x9e37_79b9_7f4a_7c15);
    for n in 0..ENTRIES {
        let mut text = String::new();
        for _ in 0..20 + lot.next(40) {
            text.push_str(words.get(lot.rank(words.len() as u64)).map_or("", String::as_str));
            text.push(' ');
        }
        writeln!(file, r#"{{"key":"notes/entry-{n}","value":"{}"}}"#, text.trim_end())?;
    }
    file.flush()?;
    Ok(())
}

/// ripgrep: installed, or the one that comes with codex.
fn rg() -> Option<PathBuf> {
    if crate::has("rg") {
        return Some("rg".into());
    }
    below(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools"), 7)
}

/// The program in a folder, or below it.
fn below(dir: &Path, depth: u8) -> Option<PathBuf> {
    let mut dirs = Vec::new();
    for file in fs::read_dir(dir).ok()?.flatten() {
        let kind = file.file_type().ok()?;
        if kind.is_file() && file.file_name() == "rg" {
            return Some(file.path());
        }
        dirs.extend((kind.is_dir() && depth > 0).then(|| file.path()));
    }
    dirs.into_iter().find_map(|dir| below(&dir, depth - 1))
}
