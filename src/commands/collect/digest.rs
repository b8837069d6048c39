//! Answers cut to a size: what an orchestrator with a small context reads of them.

use crate::{commands::session::label, ledger::Job, ui, view};

/// A job's status, and of its answer as much as its share is of `bytes`, which all
/// answers have together; the headlines come on top. What is cut says where the rest is.
pub(super) fn lines(jobs: &[(&Job, String)], bytes: usize) -> Vec<String> {
    let texts: Vec<&str> = jobs.iter().map(|(_, text)| text.trim()).collect();
    let shares = shares(&texts.iter().map(|text| text.len()).collect::<Vec<_>>(), bytes);
    let mut lines = Vec::new();
    for (((job, _), text), share) in jobs.iter().zip(texts).zip(shares) {
        lines.push(headline(job));
        let cut = cut(text, share);
        if !cut.is_empty() {
            lines.push(cut.to_owned());
        }
        if cut.len() < text.len() {
            let (more, name) = (text.len() - cut.len(), job.spec.name.as_str());
            lines.push(format!("[{more} bytes more: cx collect {name}]"));
        }
    }
    lines
}

/// `== [3] auth · succeeded · 2 files`, and why it did not succeed.
fn headline(job: &Job) -> String {
    let mut line = format!("== {} {}", label(job), view::status_with_code(job));
    let Some(exited) = &job.exited else { return line };
    if job.spec.branch().is_some() {
        line = format!("{line}, {}", ui::plural(exited.files, "file"));
    }
    match exited.reason.as_deref().map(ui::clean) {
        Some(reason) if !job.succeeded() => format!("{line}: {}", ui::cut(&reason, 160)),
        _ => line,
    }
}

/// What each of `sizes` gets of `room`: what it needs, as long as there is enough for all,
/// and else the same for those that need more.
fn shares(sizes: &[usize], room: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&at| sizes.get(at));
    let (mut shares, mut left) = (vec![0; sizes.len()], room);
    for (done, &at) in order.iter().enumerate() {
        let fair = left / (sizes.len() - done);
        let share = sizes.get(at).map_or(0, |&size| size.min(fair));
        left -= share;
        if let Some(slot) = shares.get_mut(at) {
            *slot = share;
        }
    }
    shares
}

/// At most `max` bytes of the beginning, at the end of a line or a word where one is near.
fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let whole = &text[..text.floor_char_boundary(max)];
    let near = |at: &usize| *at >= whole.len() - whole.len() / 4;
    let end = whole.rfind('\n').filter(near).or(whole.rfind(' ').filter(near));
    whole[..end.unwrap_or(whole.len())].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_short_answers_leave_goes_to_long_ones() {
        assert_eq!(shares(&[10, 20], 100), [10, 20]);
        assert_eq!(shares(&[10, 500, 400], 100), [10, 45, 45]);
        assert_eq!(shares(&[500, 30, 400], 100), [35, 30, 35]);
        assert_eq!(shares(&[5, 5], 0), [0, 0]);
        assert_eq!(shares(&[], 9), [0; 0]);
    }

    #[test]
    fn a_text_is_cut_where_a_line_or_a_word_ends() {
        assert_eq!(cut("one two", 7), "one two");
        assert_eq!(cut("one two three four", 16), "one two three");
        assert_eq!(cut("first line\nsecond", 13), "first line");
        assert_eq!(cut("ünbroken", 1), "");
        assert_eq!(cut("abcdefghijk", 5), "abcde");
        assert_eq!(cut("ab", 0), "");
    }
}
