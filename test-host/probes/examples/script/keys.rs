//! Keys made for these tests alone (`openssl genrsa 2048`, `ecparam`, `genpkey`); DER unless the name says PEM.

pub(crate) fn of(name: &str) -> &'static [u8] {
    match name {
        "rsa_private" => include_bytes!("keys/rsa_private.der"),
        "rsa_public" => include_bytes!("keys/rsa_public.der"),
        "rsa_private_pem" => include_bytes!("keys/rsa_private.pem"),
        "rsa_public_pem" => include_bytes!("keys/rsa_public.pem"),
        "p256_private" => include_bytes!("keys/p256_private.der"),
        "p256_public" => include_bytes!("keys/p256_public.der"),
        "p384_private" => include_bytes!("keys/p384_private.der"),
        "p384_public" => include_bytes!("keys/p384_public.der"),
        "p521_private" => include_bytes!("keys/p521_private.der"),
        "p521_public" => include_bytes!("keys/p521_public.der"),
        "ed25519_private" => include_bytes!("keys/ed25519_private.der"),
        "ed25519_public" => include_bytes!("keys/ed25519_public.der"),
        _ => b"",
    }
}
