//! RSA keys of a faulty generator, which can be factored: CVE-2017-15361.
//!
//! Its primes were powers of 65537 modulo a product of small primes, so the modulus is one too, modulo each of them; any other modulus of
//! RSA is so by a chance of less than one in 2^27. Nemec et al., "The Return of Coppersmith's Attack", 2017, section 2.

/// The primes at which powers of 65537 do not reach every remainder, and so tell something.
const PRIMES: [u16; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];

pub(super) fn is_suspect(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|prime| is_power_of_65537(remainder(modulus, *prime), *prime))
}

fn remainder(number: &[u8], prime: u16) -> u16 {
    let prime = u32::from(prime);
    let rest = number
        .iter()
        .fold(0, |rest: u32, byte| (rest << 8 | u32::from(*byte)).checked_rem(prime).unwrap_or(0));
    u16::try_from(rest).unwrap_or(0)
}

fn is_power_of_65537(wanted: u16, prime: u16) -> bool {
    let prime = u32::from(prime);
    let times = |power: u32| power.wrapping_mul(65537).checked_rem(prime).unwrap_or(0);
    let powers = std::iter::successors(Some(1), |power| Some(times(*power)).filter(|next| *next != 1));
    // No power repeats before 1 does.
    powers.take(256).any(|power| power == u32::from(wanted))
}
