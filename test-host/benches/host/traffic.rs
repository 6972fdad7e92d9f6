//! The benchmark's exchange: 15 request headers and 4 of the response, as a list, and as a recording in Envoy's own format.

pub(crate) const REQUEST: [(&str, &str); 15] = [
    (":authority", "shop.example.com"),
    (":path", "/catalog/books/9780001?currency=EUR&page=2"),
    (":method", "GET"),
    (":scheme", "http"),
    ("user-agent", "storefront/2.14.1 (linux; x86_64)"),
    ("accept", "application/json"),
    ("accept-encoding", "gzip, br"),
    ("accept-language", "en-GB,en;q=0.8"),
    ("x-api-key", "k-3f9a1c7e5b2d4860"),
    ("x-timeout-ms", "1500"),
    ("x-request-id", "5a7c2d84-9f10-4c9e-8d4b-1f2e3a4b5c6d"),
    ("x-forwarded-proto", "http"),
    ("x-forwarded-for", "10.1.2.3"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("cache-control", "no-cache"),
];

pub(crate) const RESPONSE: [(&str, &str); 4] = [
    (":status", "200"),
    ("content-type", "application/json"),
    ("date", "Thu, 01 Jan 2026 00:00:00 GMT"),
    ("server", "catalog"),
];

/// So many of them, as the tap filter streams them: a request's headers, a response's headers.
pub(crate) fn recording(exchanges: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for id in 1..=exchanges as u64 {
        for (number, fields) in [(2, &REQUEST[..]), (5, &RESPONSE[..])] {
            let mut segment = vec![1 << 3];
            varint(&mut segment, id);
            nested(&mut segment, number, &block(fields));
            let mut record = Vec::new();
            nested(&mut record, 2, &segment);
            varint(&mut out, record.len() as u64);
            out.extend_from_slice(&record);
        }
    }
    out
}

fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        let mut field = Vec::new();
        nested(&mut field, 1, name.as_bytes());
        nested(&mut field, 2, value.as_bytes());
        nested(&mut block, 1, &field);
    }
    block
}

/// A field that is bytes or a message, in protobuf's form.
fn nested(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
