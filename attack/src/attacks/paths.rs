//! Spellings of a guarded path that miss its rule.

use super::{Attack, Attacks, Group, Must};
use crate::{gateway::Gateway, message::Message};

pub(super) fn add(attacks: &mut Attacks, gateway: &Gateway) {
    if gateway.guarded.is_empty() {
        let why = "what no rule names is guarded too: a path that misses its rule gains nothing";
        attacks.skip(Group::Paths, "spellings of guarded paths", why);
    }
    for path in &gateway.guarded {
        let Some(rest) =
            path.strip_prefix('/').filter(|rest| rest.starts_with(|first: char| first.is_ascii_alphabetic()))
        else {
            attacks.skip(Group::Paths, path, "it does not begin with a letter");
            continue;
        };
        for (group, spelling, rule) in spellings(rest) {
            let folds = spelling.to_ascii_lowercase() == *path && spelling != *path;
            if folds && !gateway.case_insensitive {
                let why = "the configuration says that the upstream tells capitals from small letters";
                attacks.skip(group, spelling, why);
                continue;
            }
            let message = Message::get(spelling.as_str());
            // An overlong form of UTF-8, which no decoder of today takes for a letter.
            let must = if spelling.contains("%c1%a1") { Must::Either } else { Must::Refuse };
            attacks.sent.push(Attack::new(group, spelling.escape_default().to_string(), must, rule, message));
        }
    }
}

/// The nine of the list, and more.
fn spellings(rest: &str) -> Vec<(Group, String, &'static str)> {
    let (first, after) = rest.split_at(1);
    let code = first.bytes().next().unwrap_or_default();
    let (segment, tail) = rest.split_once('/').map_or((rest, ""), |(segment, tail)| (segment, tail));
    let capital = format!("{}{after}", first.to_ascii_uppercase());
    let rule = "RFC 3986, 6.2.2";
    let nine = [
        format!("/{rest}"),
        format!("/%{code:02x}{after}"),
        format!("/./{rest}"),
        format!("//{rest}"),
        format!("/public/../{rest}"),
        format!("/public/..;/{rest}"),
        format!("/{capital}"),
        format!("/{segment}%2f{tail}"),
        format!("/{segment}//{tail}"),
    ];
    let further = [
        format!("/%25{code:02x}{after}"),
        format!("/%2e/{rest}"),
        format!("/public/%2e%2e/{rest}"),
        format!("/public/%2e./{rest}"),
        format!("/public/..%2f{rest}"),
        format!("/public%2f../{rest}"),
        format!("/public/..\\{rest}"),
        format!("/public\\..\\{rest}"),
        format!("/public/..%5c{rest}"),
        format!("/.;x/{rest}"),
        format!("/public/..;x=y/{rest}"),
        format!("/public/../../{rest}"),
        format!("/public/x/../../{rest}"),
        format!("///{rest}"),
        format!("/%2f{rest}"),
        format!("/\\{rest}"),
        format!("/{segment}%00/{tail}"),
        format!("/%{:02X}{after}", code),
        format!("/%u00{code:02x}{after}"),
        format!("/%c1%a1{after}"),
        format!("/%{after}"),
        format!("/{segment};x=y/{tail}"),
        format!("/{segment};/{tail}"),
        format!("/{rest}?public=1"),
        format!("/{rest}#/public"),
        format!("/{rest}?/../public"),
        format!("/{rest}/../{segment}/{tail}"),
        format!("http://elsewhere.example/{rest}"),
        format!("http://elsewhere.example//{rest}"),
    ];
    let mut all: Vec<_> = nine.map(|spelling| (Group::Paths, spelling, rule)).to_vec();
    all.extend(further.map(|spelling| (Group::FurtherPaths, spelling, rule)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nine_are_those_of_the_list() {
        let nine = spellings("admin/x").into_iter().filter(|(group, ..)| *group == Group::Paths);
        let nine: Vec<String> = nine.map(|(_, spelling, _)| spelling).collect();
        let listed = [
            "/admin/x",
            "/%61dmin/x",
            "/./admin/x",
            "//admin/x",
            "/public/../admin/x",
            "/public/..;/admin/x",
            "/Admin/x",
            "/admin%2fx",
            "/admin//x",
        ];
        assert_eq!(nine, listed);
    }
}
