//! How a sound input is damaged.

use rand::Rng;
use rand::rngs::StdRng;

/// Numbers at which decoders go wrong: borders of lengths and signs.
const EDGES: [u8; 10] = [0, 1, 0x7F, 0x80, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE, 0xFF];

/// One of the seeds with one to six damages; rarely bytes that were never sound.
pub(super) fn damaged(seeds: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    if random.random_ratio(1, 50) {
        let len = random.random_range(0..300);
        return (0..len).map(|_| random.random()).collect();
    }
    let mut bytes = seeds[random.random_range(0..seeds.len())].clone();
    for _ in 0..random.random_range(1..=6) {
        if bytes.is_empty() {
            break;
        }
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..10) {
            0..=2 => bytes[at] = random.random(),
            3 => bytes[at] ^= 1 << random.random_range(0..8),
            4 | 5 => bytes[at] = EDGES[random.random_range(0..EDGES.len())],
            6 => bytes.truncate(at),
            7 => drop(bytes.drain(at..(at + random.random_range(1..9)).min(bytes.len()))),
            8 => {
                let more: Vec<u8> = (0..random.random_range(1..9)).map(|_| random.random()).collect();
                bytes.splice(at..at, more).for_each(drop);
            }
            // A part of another seed.
            _ => {
                let other = &seeds[random.random_range(0..seeds.len())];
                let from = random.random_range(0..=other.len());
                let part = &other[from..(from + random.random_range(0..40)).min(other.len())];
                bytes.splice(at..at, part.iter().copied()).for_each(drop);
            }
        }
    }
    bytes
}
