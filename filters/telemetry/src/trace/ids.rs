//! Ids out of the proxy's randomness, which is asked for a block at a time: a call that returns bytes costs more than the bytes.

/// Random bytes that were drawn and not used yet.
#[derive(Debug)]
pub struct Pool {
    bytes: [u8; Pool::BLOCK],
    used: usize,
}

impl Default for Pool {
    fn default() -> Pool {
        Pool { bytes: [0; Pool::BLOCK], used: Pool::BLOCK }
    }
}

impl Pool {
    /// What is drawn at once: ids for 32 spans.
    pub const BLOCK: usize = 256;

    /// The next `N` bytes; a new block is drawn where too few are left.
    ///
    /// # Errors
    /// What drawing came to.
    pub fn take<const N: usize, E>(
        &mut self,
        draw: impl FnOnce() -> Result<[u8; Pool::BLOCK], E>,
    ) -> Result<[u8; N], E> {
        const { assert!(N <= Pool::BLOCK) }
        if Pool::BLOCK.saturating_sub(self.used) < N {
            self.bytes = draw()?;
            self.used = 0;
        }
        let taken = self.bytes.get(self.used..).and_then(|rest| rest.first_chunk()).copied();
        self.used = self.used.saturating_add(N);
        Ok(taken.unwrap_or([0; N]))
    }
}

/// A span id. Zeros mean "no id" (W3C Trace Context Level 2, 3.2.2.4); chance gives them once in 2^64.
pub fn span(random: [u8; 8]) -> [u8; 8] {
    if random == [0; 8] { [0, 0, 0, 0, 0, 0, 0, 1] } else { random }
}

/// A trace id; all of its bytes are random.
pub fn trace(random: [u8; 16]) -> [u8; 16] {
    if random == [0; 16] { [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] } else { random }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(first: u8) -> Result<[u8; Pool::BLOCK], ()> {
        Ok(std::array::from_fn(|at| first.wrapping_add(u8::try_from(at).unwrap())))
    }

    #[test]
    fn no_byte_is_used_twice_and_a_block_is_drawn_when_the_last_one_is_used_up() {
        let mut pool = Pool::default();
        let mut drawn = 0;
        for span in 0..64_u8 {
            let bytes = pool.take::<8, ()>(|| {
                drawn += 1;
                block(0)
            });
            assert_eq!(bytes.unwrap()[0], span.wrapping_mul(8));
        }
        assert_eq!(drawn, 2);
    }

    #[test]
    fn without_randomness_there_is_no_id_and_the_next_one_asks_again() {
        let mut pool = Pool::default();
        assert_eq!(pool.take::<8, _>(|| Err("no source")), Err("no source"));
        assert_eq!(pool.take::<8, ()>(|| block(9)).unwrap()[0], 9);
        pool.take::<240, ()>(|| unreachable!("enough is left")).unwrap();
        assert_eq!(
            pool.take::<16, ()>(|| block(100)).unwrap()[0],
            100,
            "eight bytes are too few for a trace"
        );
    }

    #[test]
    fn no_id_is_all_zeros() {
        assert_ne!(span([0; 8]), [0; 8]);
        assert_ne!(trace([0; 16]), [0; 16]);
        assert_eq!((span([7; 8]), trace([7; 16])), ([7; 8], [7; 16]));
    }
}
