//! Requests as bytes: nothing here corrects what an attacker would send.

/// How a request travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

/// One request. Over HTTP/1.1 it is written as it stands here; over HTTP/2 names and values must be such as that can carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub protocol: Protocol,
    pub method: String,
    /// Path and query, or whatever else stands between method and version.
    pub target: Vec<u8>,
    /// `None`: that of the target's URL.
    pub authority: Option<String>,
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Over HTTP/1.1 written after the head, whatever the head says of its length.
    pub body: Vec<u8>,
    /// Over HTTP/2 only.
    pub trailers: Vec<(String, String)>,
}

impl Message {
    #[must_use]
    pub fn get(target: impl Into<Vec<u8>>) -> Message {
        Message {
            protocol: Protocol::Http1,
            method: "GET".to_owned(),
            target: target.into(),
            authority: None,
            headers: Vec::new(),
            body: Vec::new(),
            trailers: Vec::new(),
        }
    }

    /// With one more header line.
    #[must_use]
    pub fn header(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Message {
        self.headers.push((name.into(), value.into()));
        self
    }

    #[must_use]
    pub fn method(self, method: &str) -> Message {
        Message { method: method.to_owned(), ..self }
    }

    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Message {
        Message { body: body.into(), ..self }
    }

    #[must_use]
    pub fn over(self, protocol: Protocol) -> Message {
        Message { protocol, ..self }
    }

    #[must_use]
    pub fn authority(self, authority: &str) -> Message {
        Message { authority: Some(authority.to_owned()), ..self }
    }

    #[must_use]
    pub fn trailer(mut self, name: &str, value: &str) -> Message {
        self.trailers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// As it goes over the wire. `host` stands first, `connection: close` last, unless it brings its own.
    #[must_use]
    pub fn http1(&self, authority: &str) -> Vec<u8> {
        let has =
            |name: &str| self.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name.as_bytes()));
        let authority = self.authority.as_deref().unwrap_or(authority);
        let mut bytes = [self.method.as_bytes(), b" ", self.target.as_slice(), b" HTTP/1.1\r\n"].concat();
        if !has("host") {
            bytes.extend(format!("host: {authority}\r\n").bytes());
        }
        for (name, value) in &self.headers {
            bytes.extend([name.as_slice(), b": ", value, b"\r\n"].concat());
        }
        if !has("connection") {
            bytes.extend(b"connection: close\r\n");
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_attacker_writes_stays_as_it_is() {
        let message =
            Message::get("//admin").header("x-auth-subject ", "root").header("Connection", "x-auth-subject");
        let text = String::from_utf8(message.http1("shop")).expect("ASCII");
        assert_eq!(
            text,
            "GET //admin HTTP/1.1\r\nhost: shop\r\nx-auth-subject : root\r\nConnection: x-auth-subject\r\n\r\n"
        );
    }
}
