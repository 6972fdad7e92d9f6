//! Rules for Markdown: a path, a link or one of our commands that is named there exists.

use super::Finding;
use super::files::Tree;
use clap::CommandFactory;
use std::path::{Component, Path, PathBuf};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let commands: Vec<_> =
        crate::Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let mut findings = Vec::new();
    for path in tree.with_extension("md") {
        for (number, line) in (1..).zip(tree.text(path).lines()) {
            let messages = check_links(tree, path, line)
                .chain(check_paths(tree, path, line))
                .chain(check_commands(line, &commands));
            findings.extend(messages.map(|message| Finding::at(path, number, message)));
        }
    }
    findings
}

/// `[text](path#heading)`, from the Markdown file's own folder.
fn check_links<'a>(tree: &'a Tree, markdown: &'a Path, line: &'a str) -> impl Iterator<Item = String> + 'a {
    line.split("](").skip(1).filter_map(move |rest| {
        let target = rest.split([')', ' ']).next()?.split('#').next()?;
        let elsewhere = target.is_empty() || target.contains("://") || target.starts_with("mailto:");
        let folder = markdown.parent().unwrap_or(Path::new(""));
        (!elsewhere && !exists(tree, &folder.join(target)))
            .then(|| format!("links to {target}, which does not exist"))
    })
}

/// Code spans that look like paths of ours: they begin with something that lies at the root.
fn check_paths<'a>(tree: &'a Tree, markdown: &'a Path, line: &'a str) -> impl Iterator<Item = String> + 'a {
    line.split('`').skip(1).step_by(2).filter_map(move |span| {
        let path = span.split(':').next()?;
        let plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
        let first = path.split('/').next()?;
        // A leading slash is a URL's path.
        let ours = plain
            && !first.is_empty()
            && path.contains('/')
            && tree.files.iter().any(|file| file.starts_with(first));
        let folder = markdown.parent().unwrap_or(Path::new(""));
        let found = || exists(tree, Path::new(path)) || exists(tree, &folder.join(path));
        (ours && !found()).then(|| format!("names {path}, which does not exist"))
    })
}

fn check_commands<'a>(line: &'a str, commands: &'a [String]) -> impl Iterator<Item = String> + 'a {
    line.split("cargo xtask ").skip(1).filter_map(move |rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len());
        let name = rest.get(..end).filter(|name| !name.is_empty() && !name.starts_with('-'))?;
        let known = commands.iter().any(|command| command == name);
        (!known).then(|| format!("names `cargo xtask {name}`, which is no command"))
    })
}

/// A file, or a folder with something in it. What is built (`target/`, `dist/`) need not be there.
fn exists(tree: &Tree, path: &Path) -> bool {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                if !plain.pop() {
                    return false;
                }
            }
            Component::Normal(part) => plain.push(part),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    let built = plain.starts_with("target") || plain.starts_with("dist");
    built || tree.root.join(plain).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(markdown: &str) -> Vec<String> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir_all(dir.path().join("docs")).expect("a folder");
        std::fs::create_dir_all(dir.path().join("filters/timeout")).expect("a folder");
        std::fs::write(dir.path().join("filters/timeout/README.md"), "").expect("a file");
        std::fs::write(dir.path().join("docs/guide.md"), markdown).expect("a file");
        let tree = Tree::read(dir.path()).expect("it is readable");
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_link_to_nothing_is_found() {
        assert_eq!(
            messages("[a](../filters/timeout/README.md#use) [b](https://example.org/x) [c](#here)"),
            [""; 0]
        );
        assert_eq!(
            messages("see\n[a](timeout.md)"),
            ["docs/guide.md:2: links to timeout.md, which does not exist"]
        );
    }

    #[test]
    fn a_path_to_nothing_is_found() {
        assert_eq!(
            messages("`filters/timeout/README.md` `filters/<name>/` `application/json` `dist/timeout.wasm`"),
            [""; 0]
        );
        assert_eq!(
            messages("`filters/timeuot/src`"),
            ["docs/guide.md:1: names filters/timeuot/src, which does not exist"]
        );
    }

    #[test]
    fn a_command_that_does_not_exist_is_found() {
        assert_eq!(messages("Run `cargo xtask demo` or cargo xtask test."), [""; 0]);
        assert_eq!(
            messages("`cargo xtask dmeo`"),
            ["docs/guide.md:1: names `cargo xtask dmeo`, which is no command"]
        );
    }
}
