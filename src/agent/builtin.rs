//! The agents that are part of cx: the files of `agents/`, as they are.

/// Name and text of each, in alphabetical order.
pub(super) const ALL: [(&str, &str); 9] = [
    ("architect", include_str!("../../agents/architect.md")),
    ("coder", include_str!("../../agents/coder.md")),
    ("docs", include_str!("../../agents/docs.md")),
    ("implementer", include_str!("../../agents/implementer.md")),
    ("researcher", include_str!("../../agents/researcher.md")),
    ("reviewer", include_str!("../../agents/reviewer.md")),
    ("scout", include_str!("../../agents/scout.md")),
    ("tester", include_str!("../../agents/tester.md")),
    ("verifier", include_str!("../../agents/verifier.md")),
];

/// The text of the built-in agent `name`.
pub(super) fn text(name: &str) -> Option<&'static str> {
    ALL.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use crate::agent::{Places, Source, find};
    use crate::job::Mode;

    use super::*;

    #[test]
    fn nine_roles_each_whole_and_in_shape() {
        let nowhere = tempfile::tempdir().expect("folder");
        let folders = Places {
            checkout: None,
            config_home: nowhere.path(),
            home: nowhere.path(),
            agents_dir: None,
            codex_agents_dir: None,
        };
        let writers = ["coder", "docs", "implementer", "tester"];
        for (name, text) in ALL {
            let agent = find(name, &folders).expect(name);
            let mode = if writers.contains(&name) { Mode::Writer } else { Mode::Reader };
            assert_eq!(agent.mode, mode, "{name}");
            assert_eq!(agent.source, Source::BuiltIn);
            assert_eq!(agent.extra, [], "{name} has keys that cx does not honour");
            assert!(text.contains(&format!("\nname: {name}\n")), "{name}");
            let mut rest = agent.body.as_str();
            for heading in ["TASK:", "SCOPE:", "LENS:", "DO:", "OUTPUT:", "DO NOT:"] {
                let at = if rest.starts_with(heading) {
                    Some(0)
                } else {
                    rest.find(&format!("\n\n{heading}"))
                };
                rest =
                    &rest[at.unwrap_or_else(|| panic!("{name} has no {heading} in its place"))..];
            }
        }
        assert!(ALL.is_sorted());
    }
}
