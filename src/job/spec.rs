//! Job specs: the ways in which people name a job on the command line.
//!
//! `%3`, `3`, `auth`, `au` (a unique prefix), `%+`, `%-`, `%au`, and what
//! `cx spawn` prints: `[3] auth`.

use super::JobId;

/// A spec as it was typed, parsed but not yet looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spec {
    /// `%3`, `3`, `[3]`.
    Number(JobId),
    /// `[3] auth`, as `cx spawn` prints it: the number of one job and its name.
    Both(JobId, String),
    /// `%+` or `%%`: the current job, the one spawned last.
    Current,
    /// `%-`: the one before.
    Previous,
    /// A whole name or the beginning of one.
    Name(String),
}

/// What a spec is looked up in: a job's number and name, newest last.
pub trait Candidate {
    /// The job's number.
    fn id(&self) -> JobId;
    /// The job's name.
    fn name(&self) -> &str;
    /// Whether the job is live or still to be collected, merged or cleaned;
    /// `%+`, `%-` and prefixes prefer those.
    fn is_open(&self) -> bool;
}

/// Why a spec names no job. Reads as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Nothing matches.
    #[error("no such job: {}", if .0.trim().is_empty() { "an empty word names none" } else { .0 })]
    NoSuchJob(String),
    /// The number is another job's: the spec is of another repository, or of before
    /// the ledger was begun anew.
    #[error("no such job: {spec}; job {number} here is called {name}")]
    NotThatName {
        /// As it was typed.
        spec: String,
        /// The number in it.
        number: JobId,
        /// What the job with that number is called.
        name: String,
    },
    /// A prefix matches several jobs; these are their names.
    #[error("'{spec}' could be any of {}", names.join(", "))]
    Ambiguous {
        /// As it was typed.
        spec: String,
        /// The names it could be.
        names: Vec<String>,
    },
}

impl Spec {
    /// Parses `word`. Every word is a spec: what is no number is a name.
    pub fn parse(word: &str) -> Self {
        let word = word.trim();
        if let Some(rest) = word.strip_prefix('[')
            && let Some((digits, name)) = rest.split_once(']')
            && let Ok(n) = digits.parse()
        {
            return match name.trim() {
                "" => Self::Number(JobId(n)),
                name => Self::Both(JobId(n), name.to_owned()),
            };
        }
        let (percent, rest) = match word.strip_prefix('%') {
            Some(rest) => (true, rest),
            None => (false, word),
        };
        match rest {
            "+" | "%" | "" if percent => Self::Current,
            "-" if percent => Self::Previous,
            _ => match rest.parse() {
                Ok(n) if rest.bytes().all(|b| b.is_ascii_digit()) => Self::Number(JobId(n)),
                _ => Self::Name(rest.to_owned()),
            },
        }
    }
}

/// Finds the job that `word` names among `jobs` (in ascending order of number).
///
/// A whole name wins over a prefix, an open job over a closed one, and of
/// several jobs with one name the newest is meant.
pub fn resolve<'a, C: Candidate>(word: &str, jobs: &'a [C]) -> Result<&'a C, SpecError> {
    let missing = || SpecError::NoSuchJob(word.to_owned());
    let nth_newest = |n: usize| {
        let open = jobs.iter().rev().filter(|job| job.is_open()).nth(n);
        open.or_else(|| {
            let none_open = !jobs.iter().any(Candidate::is_open);
            none_open.then(|| jobs.iter().rev().nth(n)).flatten()
        })
    };
    match Spec::parse(word) {
        Spec::Number(id) => jobs.iter().find(|job| job.id() == id).ok_or_else(missing),
        Spec::Both(id, name) => {
            let job = jobs.iter().find(|job| job.id() == id).ok_or_else(missing)?;
            if job.name() == name {
                return Ok(job);
            }
            let name = job.name().to_owned();
            Err(SpecError::NotThatName { spec: word.to_owned(), number: id, name })
        }
        Spec::Current => nth_newest(0).ok_or_else(missing),
        Spec::Previous => nth_newest(1).ok_or_else(missing),
        // Of a `$(cx spawn ...)` that failed; it is the beginning of every name.
        Spec::Name(name) if name.is_empty() => Err(missing()),
        Spec::Name(name) => {
            let newest = |open: bool, whole: bool| -> Vec<&'a C> {
                let mut found: Vec<&C> = Vec::new();
                for job in jobs.iter().rev().filter(|job| job.is_open() == open) {
                    let matches =
                        if whole { job.name() == name } else { job.name().starts_with(&name) };
                    if matches && !found.iter().any(|seen| seen.name() == job.name()) {
                        found.push(job);
                    }
                }
                found
            };
            for (open, whole) in [(true, true), (false, true), (true, false), (false, false)] {
                match newest(open, whole).as_slice() {
                    [] => {}
                    [one] => return Ok(one),
                    many => {
                        return Err(SpecError::Ambiguous {
                            spec: word.to_owned(),
                            names: many.iter().rev().map(|job| job.name().to_owned()).collect(),
                        });
                    }
                }
            }
            Err(missing())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row(u64, &'static str, bool);

    impl Candidate for Row {
        fn id(&self) -> JobId {
            JobId(self.0)
        }
        fn name(&self) -> &str {
            self.1
        }
        fn is_open(&self) -> bool {
            self.2
        }
    }

    const JOBS: [Row; 5] = [
        Row(1, "auth", false),
        Row(2, "docs", true),
        Row(3, "auth", true),
        Row(4, "auth-core", true),
        Row(5, "tests", false),
    ];

    fn number(word: &str) -> Result<u64, SpecError> {
        resolve(word, &JOBS).map(|job| job.0)
    }

    #[test]
    fn every_way_to_name_a_job() {
        for (word, id) in [
            ("%1", 1),
            ("2", 2),
            ("[3] auth", 3),
            ("[3]", 3),
            ("auth", 3),
            ("%auth", 3),
            ("auth-", 4),
            ("do", 2),
            ("te", 5),
            ("%+", 4),
            ("%%", 4),
            ("%-", 3),
        ] {
            assert_eq!(number(word), Ok(id), "{word}");
        }
    }

    #[test]
    fn what_names_nothing_or_too_much() {
        assert_eq!(number("9"), Err(SpecError::NoSuchJob("9".to_owned())));
        for empty in ["", " "] {
            assert_eq!(number(empty), Err(SpecError::NoSuchJob(empty.to_owned())));
        }
        assert_eq!(number("nope"), Err(SpecError::NoSuchJob("nope".to_owned())));
        let err = number("a").expect_err("ambiguous");
        assert_eq!(err.to_string(), "'a' could be any of auth, auth-core");
        assert!(resolve("%+", &[] as &[Row]).is_err());
        // What cx has printed of this number, it has printed elsewhere.
        let err = number("[3] docs").expect_err("another job's");
        assert_eq!(err.to_string(), "no such job: [3] docs; job %3 here is called auth");
        assert_eq!(number("[9] auth"), Err(SpecError::NoSuchJob("[9] auth".to_owned())));
    }

    #[test]
    fn with_nothing_open_the_current_job_is_the_last_one() {
        let closed = [Row(1, "a", false), Row(2, "b", false)];
        assert_eq!(resolve("%+", &closed).map(|job| job.0), Ok(2));
        assert_eq!(resolve("%-", &closed).map(|job| job.0), Ok(1));
    }
}
