//! `wayside hash-key`: what a configuration of header-auth holds in the place of a key or a password.

use std::{
    env,
    io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _},
};

use serde_json::{Map, Value, json};
use wayside_credentials::{
    passwords::{Pepper, Recipe, make},
    timestamp::Timestamp,
};

use super::{
    BadInput, Verdict,
    args::{Hash, HashKeyArguments},
    print,
};

/// No credential that the filter looks at is longer (`max_credential_bytes`).
const MOST: u64 = 65_536;
/// Of what is found by its hash alone: 128 bits as 22 characters of base64.
const SHORT: usize = 22;

pub(super) fn run(arguments: &HashKeyArguments) -> Result<Verdict, BadInput> {
    let owner = Owner::of(arguments)?;
    let recipe = recipe(arguments, &owner)?;
    let secret = secret(&owner)?;
    owner.check(&secret)?;
    let mut salt = [0; 16];
    rustix::rand::getrandom(&mut salt, rustix::rand::GetRandomFlags::empty()).map_err(BadInput::of)?;
    let made = make(&recipe, &secret, salt).map_err(BadInput::of)?;
    let made: Map<String, Value> = serde_json::from_str(&format!("{{{made}}}")).map_err(BadInput::of)?;
    let mut entry = Map::from_iter([(owner.field().to_owned(), json!(owner.name()))]);
    entry.extend(made);
    for (field, time) in [("not_before", &arguments.not_before), ("not_after", &arguments.not_after)] {
        if let Some(time) = time {
            entry.insert(field.to_owned(), json!(time));
        }
    }
    if !arguments.scopes.is_empty() {
        entry.insert("scopes".to_owned(), json!(arguments.scopes));
    }
    let (kind, list) = owner.place();
    let needs = needs(arguments, &recipe);
    if arguments.json {
        let told = json!({
            "schema": "wayside.hash-key/1", "kind": kind, "list": list, "entry": entry, "provider_needs": needs,
        });
        print(&format_args!("{told}\n"));
    } else {
        print(&format_args!("{}\n", Value::Object(entry)));
    }
    tell(&recipe, &secret, list, &needs);
    Ok(Verdict::AsExpected)
}

/// Whom the secret belongs to.
enum Owner<'a> {
    Key(&'a str),
    User(&'a str),
}

impl<'a> Owner<'a> {
    fn of(arguments: &'a HashKeyArguments) -> Result<Self, BadInput> {
        let owner = match (&arguments.id, &arguments.user) {
            (Some(id), None) => Owner::Key(id),
            (None, Some(user)) => Owner::User(user),
            _ => return Err(BadInput("expected one of --id and --user".to_owned())),
        };
        let name = owner.name();
        if !(1..=128).contains(&name.len()) || name.chars().any(char::is_control) {
            return Err(BadInput("a name has 1 to 128 bytes without control characters".to_owned()));
        }
        if matches!(owner, Owner::User(_)) && name.contains(':') {
            return Err(BadInput("--user: found a `:`, which ends a user's name".to_owned()));
        }
        let times = [("--not-before", &arguments.not_before), ("--not-after", &arguments.not_after)];
        for (option, time) in times.into_iter().filter_map(|(option, time)| Some((option, time.as_ref()?))) {
            if matches!(owner, Owner::User(_)) {
                return Err(BadInput(format!("{option}: found one for a user, only keys have it")));
            }
            Timestamp::parse(time).map_err(|error| BadInput(format!("{option}: found {time:?}, {error}")))?;
        }
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        let bad = arguments.scopes.iter().find(|scope| scope.is_empty() || !scope.bytes().all(plain));
        if let Some(scope) = bad {
            return Err(BadInput(format!(
                "--scope: found {scope:?}, expected visible ASCII without \" and \\"
            )));
        }
        Ok(owner)
    }

    fn name(&self) -> &'a str {
        match self {
            Owner::Key(name) | Owner::User(name) => name,
        }
    }

    fn field(&self) -> &'static str {
        match self {
            Owner::Key(_) => "id",
            Owner::User(_) => "name",
        }
    }

    /// The kind of provider, and the list in it.
    fn place(&self) -> (&'static str, &'static str) {
        match self {
            Owner::Key(_) => ("api_key", "keys"),
            Owner::User(_) => ("basic", "users"),
        }
    }

    /// Nobody could show a secret that is not so: the filter takes only these from requests.
    fn check(&self, secret: &[u8]) -> Result<(), BadInput> {
        let (fits, expected) = match self {
            Owner::Key(_) => (
                secret
                    .iter()
                    .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b',' | b';' | b'"' | b'\\')),
                "visible ASCII characters without , ; \" and \\",
            ),
            Owner::User(_) => (!secret.iter().any(u8::is_ascii_control), "no control characters"),
        };
        if fits { Ok(()) } else { Err(BadInput(format!("standard input: expected {expected} (not shown)"))) }
    }
}

fn recipe(arguments: &HashKeyArguments, owner: &Owner<'_>) -> Result<Recipe, BadInput> {
    let of_key = matches!(owner, Owner::Key(_));
    let hash = match (arguments.hash, &arguments.pepper_env) {
        (Some(hash), None) => hash,
        (None | Some(Hash::HmacSha256), Some(_)) => Hash::HmacSha256,
        (Some(_), Some(_)) => {
            return Err(BadInput("--pepper-env goes with --as hmac_sha256 alone".to_owned()));
        }
        (None, None) if of_key => Hash::Sha256,
        (None, None) => Hash::Argon2id,
    };
    Ok(match hash {
        Hash::Sha256 | Hash::HmacSha256 if !of_key => {
            return Err(BadInput("users are stored as argon2id, bcrypt, sha256_salted or sha1".to_owned()));
        }
        Hash::Sha256Salted | Hash::Sha1 if of_key => {
            return Err(BadInput("keys are stored as sha256, hmac_sha256, argon2id or bcrypt".to_owned()));
        }
        Hash::Sha256 => Recipe::Sha256,
        Hash::HmacSha256 => Recipe::HmacSha256(pepper(arguments.pepper_env.as_deref())?),
        Hash::Sha256Salted => Recipe::Sha256Salted,
        Hash::Sha1 => Recipe::Sha1,
        Hash::Bcrypt => Recipe::Bcrypt { cost: arguments.cost },
        Hash::Argon2id => {
            Recipe::Argon2id { kib: arguments.memory_kib, passes: arguments.passes, lanes: arguments.lanes }
        }
    })
}

/// The pepper, from the environment of this process: it belongs in no history of commands either.
fn pepper(name: Option<&str>) -> Result<Pepper, BadInput> {
    let name = name.ok_or_else(|| BadInput("--as hmac_sha256 needs --pepper-env NAME".to_owned()))?;
    let value =
        env::var_os(name).ok_or_else(|| BadInput(format!("--pepper-env: found no variable {name}")))?;
    let pepper = Pepper::new(value.as_encoded_bytes());
    pepper.ok_or_else(|| {
        BadInput(format!(
            "--pepper-env: found {} bytes in {name}, expected {} or more",
            value.len(),
            Pepper::LEAST
        ))
    })
}

/// What the provider of this entry has to say beside it.
fn needs(arguments: &HashKeyArguments, recipe: &Recipe) -> Map<String, Value> {
    let mut needs = Map::new();
    match recipe {
        Recipe::HmacSha256(_) => drop(needs.insert("pepper_env".to_owned(), json!(arguments.pepper_env))),
        Recipe::Sha1 => drop(needs.insert("allow_sha1".to_owned(), json!(true))),
        Recipe::Bcrypt { .. } | Recipe::Argon2id { .. } if arguments.id.is_some() => {
            needs.insert("allow_slow_hash".to_owned(), json!(true));
            needs.insert("form".to_owned(), json!("id.secret"));
        }
        _ => {}
    }
    needs
}

/// One line of standard input; from a terminal, which does not show it.
fn secret(owner: &Owner<'_>) -> Result<Vec<u8>, BadInput> {
    let mut line = Vec::new();
    let input = io::stdin().lock();
    if input.is_terminal() {
        let silent = Silent::new()?;
        let what = if matches!(owner, Owner::Key(_)) { "key" } else { "password" };
        let _ = write!(io::stderr(), "{what} of {}: ", owner.name());
        let read = input.take(MOST + 2).read_until(b'\n', &mut line);
        drop(silent);
        let _ = writeln!(io::stderr());
        read.map_err(BadInput::of)?;
    } else {
        input.take(MOST + 3).read_to_end(&mut line).map_err(BadInput::of)?;
    }
    let secret = line.strip_suffix(b"\n").unwrap_or(&line);
    let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
    if secret.contains(&b'\n') {
        return Err(BadInput("standard input: expected one line".to_owned()));
    }
    if secret.len() as u64 > MOST {
        return Err(BadInput(format!("standard input: expected at most {MOST} bytes")));
    }
    Ok(secret.to_vec())
}

/// While this lives, the terminal shows nothing of what is typed.
struct Silent(rustix::termios::Termios);

impl Silent {
    fn new() -> Result<Self, BadInput> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(io::stdin()).map_err(BadInput::of)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Now, &silent).map_err(BadInput::of)?;
        Ok(Silent(before))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Now, &self.0);
    }
}

/// Hints, for whoever does not read the manual.
fn tell(recipe: &Recipe, secret: &[u8], list: &str, needs: &Map<String, Value>) {
    let mut told = io::stderr().lock();
    if !needs.is_empty() {
        let _ = writeln!(told, "for `{list}` of a provider that has {}", Value::Object(needs.clone()));
    }
    if matches!(recipe, Recipe::Sha256 | Recipe::HmacSha256(_)) && secret.len() < SHORT {
        let _ = writeln!(
            told,
            "warning: fast hashes are for random keys of 128 bits, which have {SHORT} characters and more; this one has fewer (--as argon2id)"
        );
    }
    if matches!(recipe, Recipe::Sha256Salted | Recipe::Sha1) {
        let _ = writeln!(
            told,
            "warning: whoever has the configuration finds words quickly by this hash (--as argon2id)"
        );
    }
}
