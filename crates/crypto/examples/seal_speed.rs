//! Prints how fast seals are made and opened, beside AES-256-GCM alone:
//! `cargo run --release -p causeway-crypto --example seal_speed`.
//!
//! *Bare* is one call on a key that is ready, in a buffer that is there, with a counter as nonce:
//! the cipher and nothing else. *Usual* is what a program does that gives each message a key and
//! a random nonce of its own, and gets a buffer back. The ratios are of the time to encrypt and
//! decrypt, to that to seal and open.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "a measurement for people to look at"
)]

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use causeway_crypto::{Salts, SealingKey};
use causeway_types::{
    ConnectionId, DataKeyId, OsRandom, Place, Randomness as _, SecretBytes, WorkspaceId,
};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(60);

fn main() {
    println!("nanoseconds a call, the best of {ROUNDS} rounds");
    println!("  bytes   bare enc/dec    usual enc/dec      seal/open   of bare  of usual  MiB/s");
    for size in [256, 4096, 65536] {
        measure(size);
    }
}

fn measure(size: usize) {
    let (workspace, salts) = (WorkspaceId::highest(), Salts::new(Arc::new(OsRandom)));
    let place = Place::ConnectionCredential(ConnectionId::highest());
    let key = SealingKey::new(DataKeyId::lowest(), &SecretBytes::new(vec![7; 32])).unwrap();
    let plaintext = vec![42_u8; size];
    let sealed = key.seal(workspace, &place, &plaintext, &salts).unwrap();

    let raw = gcm();
    let (mut counter, mut buffer, mut out) = (0_u64, plaintext.clone(), plaintext.clone());
    let mut closed = plaintext.clone();
    let tag = raw.seal_in_place_separate_tag(nonce(0), Aad::empty(), &mut closed).unwrap();
    let best = fastest([
        &mut || {
            counter += 1;
            let buffer = black_box(&mut buffer);
            let tag = raw.seal_in_place_separate_tag(nonce(counter), Aad::empty(), buffer);
            let _ = black_box(tag.unwrap());
        },
        &mut || {
            let closed = black_box(&closed);
            raw.open_separate_gather(nonce(0), Aad::empty(), closed, tag.as_ref(), &mut out)
                .unwrap();
        },
        &mut || {
            let mut random = [0; 12];
            OsRandom.fill(&mut random);
            let mut message = Vec::with_capacity(size + 16);
            message.extend_from_slice(black_box(&plaintext));
            let nonce = Nonce::assume_unique_for_key(random);
            gcm().seal_in_place_append_tag(nonce, Aad::empty(), &mut message).unwrap();
            black_box(message);
        },
        &mut || {
            let mut message = vec![0; size];
            let closed = black_box(&closed);
            gcm()
                .open_separate_gather(nonce(0), Aad::empty(), closed, tag.as_ref(), &mut message)
                .unwrap();
            black_box(message);
        },
        &mut || {
            black_box(key.seal(workspace, &place, black_box(&plaintext), &salts)).unwrap();
        },
        &mut || {
            black_box(key.open(workspace, &place, black_box(&sealed))).unwrap();
        },
    ]);
    let [bare, usual, ours] = [best[0] + best[1], best[2] + best[3], best[4] + best[5]];
    println!(
        "{size:>7} {:>7.0}/{:<7.0} {:>7.0}/{:<7.0} {:>7.0}/{:<7.0} {:>5.0} % {:>7.0} % {:>7.0}",
        best[0],
        best[1],
        best[2],
        best[3],
        best[4],
        best[5],
        100.0 * bare / ours,
        100.0 * usual / ours,
        size as f64 * 2.0 / ours * 1e9 / 1024.0 / 1024.0,
    );
}

fn gcm() -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, black_box(&[7; 32])).unwrap())
}

fn nonce(counter: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// Nanoseconds a call of each, the best of several rounds that take turns.
fn fastest<const N: usize>(mut runs: [&mut dyn FnMut(); N]) -> [f64; N] {
    let mut best = [f64::MAX; N];
    for _ in 0..ROUNDS {
        for (run, best) in runs.iter_mut().zip(&mut best) {
            let (start, mut calls) = (Instant::now(), 0_u32);
            while start.elapsed() < ROUND {
                (0..64).for_each(|_| run());
                calls += 64;
            }
            *best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(calls));
        }
    }
    best
}
