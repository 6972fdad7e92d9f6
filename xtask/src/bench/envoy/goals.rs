//! The goals, each a ratio of rows of one run, with the interval that tells whether the run decides it.

use std::fmt::Write as _;

use wayside_proof::table::Table as ForReadme;

use super::{
    rows::EIGHT,
    samples::{Measured, Table},
    statistics::{Estimate, Resampler},
};

/// What a goal compares.
enum Figure {
    /// What one row adds, by what another adds.
    Added { row: String, by: String },
    /// How many times a request without filters.
    Times { row: String },
}

struct Goal {
    name: &'static str,
    figure: Figure,
    at_most: f64,
}

fn added(name: &'static str, row: &str, by: &str, at_most: f64) -> Goal {
    Goal { name, figure: Figure::Added { row: row.to_owned(), by: by.to_owned() }, at_most }
}

fn times(name: &'static str, row: &str, at_most: f64) -> Goal {
    Goal { name, figure: Figure::Times { row: row.to_owned() }, at_most }
}

/// F5 names microseconds of another machine (6, 7.5, 7 where the sketches took 7.2, 8.7, 9.2): their ratios are what carries over;
/// so for F7 alone (30 of 34).
fn all() -> Vec<Goal> {
    let eight = |what: &str| format!("{what} ×{EIGHT}");
    let mut goals = vec![
        added("F1", &eight("header-auth, ours"), &eight("Lua, get and set"), 0.75),
        added("F1", &eight("header-auth, ours"), &eight("api_key_auth"), 3.8),
        added("F2", "header-auth, ours", "Lua, get and set", 1.45),
        added("F3", &eight("header-auth, HS256"), &eight("jwt_authn, HS256"), 0.5),
        added("F3", "header-auth, HS256", "jwt_authn, HS256", 0.65),
        added("F4", "header-auth, RS256", "jwt_authn, RS256", 1.15),
        added("F4", &eight("header-auth, RS256"), &eight("jwt_authn, RS256"), 1.15),
        added("F4", "header-auth, ES256", "jwt_authn, ES256", 1.15),
        added("F4", &eight("header-auth, ES256"), &eight("jwt_authn, ES256"), 1.15),
        added("F4", &eight("header-auth, a token seen before"), &eight("header-auth, ours"), 1.3),
    ];
    for (filter, at_most) in [("timeout", 6.0 / 7.2), ("telemetry", 7.5 / 8.7), ("retry-budget", 7.0 / 9.2)] {
        let [ours, sketch] = ["ours", "sketch"].map(|whose| eight(&format!("{filter}, {whose}")));
        goals.push(added("F5", &ours, &sketch, at_most));
    }
    goals.extend([
        added("F6", "chain of four, ours", "chain of four, sketches", 0.8),
        times("F6", "chain of four, ours", 2.4),
        added("F7", &eight("four in one, ours"), &eight("four in one, sketch"), 0.65),
        added("F7", "four in one, ours", "four in one, sketch", 30.0 / 34.0),
        times("F8", "chain of four, ours, proxied", 1.5),
        times("F8", "four in one, ours, proxied", 1.35),
        added("F9", &eight("noop, ours"), &eight("noop, SDK stripped"), 1.0),
        added("F9", "noop, ours", "noop, SDK stripped", 1.0),
    ]);
    goals
}

/// One line a goal whose rows were measured.
pub(super) fn shown(table: &Table, seed: u64) -> String {
    let mut text = String::new();
    for goal in all() {
        if let Some((what, estimate)) = reached(&goal.figure, table, seed) {
            let Estimate { value, low, high } = estimate;
            let verdict = match () {
                () if high <= goal.at_most => "kept",
                () if low > goal.at_most => "MISSED",
                () if value <= goal.at_most => "kept, within the noise",
                () => "missed, within the noise",
            };
            let _ = writeln!(
                text,
                "{} {value:.2} [{low:.2}-{high:.2}], goal {:.2}: {verdict}   {what}",
                goal.name, goal.at_most
            );
        }
    }
    text
}

/// What of the goals is header-auth's own, for its README.
pub(super) fn of_header_auth(table: &Table, seed: u64) -> ForReadme {
    let mut rows = Vec::new();
    for goal in all() {
        let Figure::Added { row, by } = &goal.figure else { continue };
        let (Some((_, ratio)), true) = (reached(&goal.figure, table, seed), row.starts_with("header-auth, "))
        else {
            continue;
        };
        let micros = |name: &str| match table.row(name) {
            Some(row) => format!("{:.1} µs", row.added(&(0..row.pairs.len()).collect::<Vec<_>>())),
            None => String::new(),
        };
        rows.push(vec![
            goal.name.to_owned(),
            row.clone(),
            micros(row),
            by.clone(),
            micros(by),
            format!("{:.2} [{:.2}-{:.2}]", ratio.value, ratio.low, ratio.high),
            format!("{:.2}", goal.at_most),
        ]);
    }
    let caption = "`cargo xtask bench envoy --only 'header-auth, ours;header-auth, HS;header-auth, RS;header-auth, ES;token seen;Lua;api_key_auth;jwt_authn'`: \
                   processor time that a filter adds to a request, in one run; ×8 is the average of eight in a row. Intervals of 95 %.";
    ForReadme {
        caption: caption.to_owned(),
        columns: ["goal", "row", "", "beside", "", "ratio", "at most"].map(str::to_owned).to_vec(),
        rows,
    }
}

fn reached(figure: &Figure, table: &Table, seed: u64) -> Option<(String, Estimate)> {
    let estimate =
        |rounds: usize, of: &dyn Fn(&[usize]) -> f64| Estimate::of(rounds, &mut Resampler::new(seed), of);
    match figure {
        Figure::Added { row, by } => {
            let (of, other): (&Measured, &Measured) = (table.row(row)?, table.row(by)?);
            let rounds = of.pairs.len().min(other.pairs.len());
            let ratio = |rounds: &[usize]| of.added(rounds) / other.added(rounds);
            Some((format!("{row} by {by}"), estimate(rounds, &ratio)))
        }
        Figure::Times { row } => {
            let of = table.row(row)?;
            Some((format!("{row}: times {}", of.setup.base()), estimate(of.pairs.len(), &|r| of.times(r))))
        }
    }
}
