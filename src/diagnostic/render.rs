//! A finding with the lines it is about, carets under the guilty bytes.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Element, Group, Level, Renderer, Snippet};

use super::{BYTE_ORDER_MARK, Finding, Place, Severity, SourceText, char_boundary};

/// Most lines of a text that are shown; of a longer span the first ones are.
const LINES_MAX: usize = 12;

impl Finding {
    /// In the style of rustc: message, `--> file:line:column`, the lines with carets, `help:`. Ends without line break.
    ///
    /// Takes any span: what lies outside the text is moved to its end, what cuts a character is widened to it.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Info => Level::INFO,
        };
        let excerpt = self.place.as_ref().map(Excerpt::of);
        let mut elements: Vec<Element<'_>> = Vec::new();
        if let (Some(place), Some(excerpt)) = (&self.place, &excerpt) {
            let annotation = AnnotationKind::Primary.span(excerpt.span.clone()).label(place.label.as_deref());
            let snippet = Snippet::source(&*excerpt.text)
                .line_start(excerpt.first_line)
                .path(&*place.source.name)
                .fold(false)
                .annotation(annotation);
            elements.push(snippet.into());
        }
        if let Some(help) = &self.help {
            elements.push(Level::HELP.message(&**help).into());
        }
        let title = level.primary_title(&*self.message);
        let group = if elements.is_empty() { Group::with_title(title) } else { title.elements(elements) };
        renderer.render(&[group])
    }
}

/// The lines a span lies in, and the span within them. (The renderer itself cuts lines that are too long.)
struct Excerpt {
    text: String,
    first_line: usize,
    span: Range<usize>,
}

impl Excerpt {
    fn of(place: &Place) -> Excerpt {
        let source: &SourceText = &place.source;
        let start = char_boundary(&source.text, place.span.start);
        let end = char_boundary(&source.text, place.span.end.max(place.span.start));
        let first_line = source.line(start);
        // A span that ends with a line break does not reach into the next line.
        let last_line = source.line(end.saturating_sub(1).max(start)).min(first_line + LINES_MAX - 1);
        let mut excerpt = Excerpt { text: String::new(), first_line, span: 0..0 };
        for line in first_line..=last_line {
            let range = source.line_range(line);
            let content = source.text[range.clone()].trim_start_matches(BYTE_ORDER_MARK);
            let content_start = range.end - content.len();
            let within = |offset: usize| offset.clamp(content_start, range.end) - content_start;
            if line > first_line {
                excerpt.text.push('\n');
            } else {
                excerpt.span.start = within(start);
            }
            excerpt.span.end = excerpt.text.len() + within(end);
            excerpt.text.push_str(content);
        }
        excerpt
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Span;
    use proptest::prelude::*;

    fn render(text: &str, span: Range<usize>, label: &str) -> String {
        let source = SourceText::new("rules/api.yml", text);
        Finding::error("expression does not parse")
            .at(&source, Span::new(span.start, span.end))
            .label(label)
            .render(false)
    }

    #[test]
    fn carets_stand_under_the_guilty_bytes() {
        let text = "groups:\r\n- rules:\r\n  - expr: sum(é\r\n";
        assert_eq!(
            render(text, 29..32, "opened here"),
            "error: expression does not parse\n \
             --> rules/api.yml:3:11\n  \
             |\n\
             3 |   - expr: sum(é\n  \
             |           ^^^ opened here"
        );
    }

    #[test]
    fn long_lines_are_cut_around_the_carets() {
        let text = format!("x\n{}GUILTY{}", "é".repeat(500_000), "y".repeat(500_000));
        let at = text.find("GUILTY").unwrap();
        let rendered = render(&text, at..at + 6, "here");
        assert!(rendered.len() < 1000, "{}", rendered.len());
        assert!(rendered.contains("--> rules/api.yml:2:500001"), "{rendered}");
        assert!(rendered.contains("éGUILTYy"), "{rendered}");
        assert!(rendered.contains("^^^^^^ here"), "{rendered}");
    }

    #[test]
    fn help_and_placeless_findings() {
        let finding = Finding::warning("two rules have one name").help("rename one");
        assert_eq!(finding.render(false), "warning: two rules have one name\n |\n = help: rename one");
        assert_eq!(finding.to_string(), "two rules have one name; rename one");
    }

    proptest! {
        #[test]
        fn no_span_panics(text in "[a-zé\t\r\n\u{feff}\u{1b}漢 ]{0,60}", start in 0_usize..80, end in 0_usize..80) {
            let rendered = render(&text, start..end, "l");
            prop_assert!(rendered.contains("rules/api.yml"));
            let source = SourceText::new("f", &*text);
            prop_assert!(!Finding::info("m").at(&source, Span::new(start, end)).help("h").render(true).is_empty());
            prop_assert!(Finding::info("m").at(&source, Span::new(start, end)).to_string().starts_with("f:"));
        }
    }
}
