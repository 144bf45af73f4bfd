//! Prints how fast seals are made and opened, beside AES-256-GCM alone:
//! `cargo run --release -p causeway-crypto --example seal_speed`.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use causeway_crypto::{Salts, SealingKey};
use causeway_types::{ConnectionId, DataKeyId, OsRandom, Place, SecretBytes, WorkspaceId};
use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(150);

fn main() {
    let key = SealingKey::new(DataKeyId::lowest(), &SecretBytes::new(vec![7; 32])).unwrap();
    let salts = Salts::new(std::sync::Arc::new(OsRandom));
    let raw = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
    let (workspace, place) =
        (WorkspaceId::highest(), Place::ConnectionCredential(ConnectionId::highest()));
    println!(
        "{:>7} {:>9} {:>9} {:>9} {:>9}  seal+open of raw",
        "bytes", "raw enc", "seal", "raw dec", "open"
    );
    for size in [256, 4096, 65536] {
        let plaintext = vec![42_u8; size];
        let sealed = key.seal(workspace, &place, &plaintext, &salts).unwrap();
        let mut counter = 0_u64;
        let mut buffer = plaintext.clone();
        let mut tag = raw.seal_in_place_separate_tag(nonce(0), Aad::empty(), &mut buffer).unwrap();
        let closed = buffer.clone();
        let times = fastest([
            &mut || {
                counter += 1;
                tag = raw
                    .seal_in_place_separate_tag(
                        nonce(counter),
                        Aad::empty(),
                        black_box(&mut buffer),
                    )
                    .unwrap();
            },
            &mut || {
                black_box(key.seal(workspace, &place, black_box(&plaintext), &salts).unwrap());
            },
        ]);
        let tag =
            raw.seal_in_place_separate_tag(nonce(0), Aad::empty(), &mut plaintext.clone()).unwrap();
        let mut out = plaintext.clone();
        let opens = fastest([
            &mut || {
                raw.open_separate_gather(
                    nonce(0),
                    Aad::empty(),
                    black_box(&closed),
                    tag.as_ref(),
                    &mut out,
                )
                .unwrap();
            },
            &mut || {
                black_box(key.open(workspace, &place, black_box(&sealed)).unwrap());
            },
        ]);
        println!(
            "{size:>7} {:>9.0} {:>9.0} {:>9.0} {:>9.0}  {:.0} %   (ns: {:.0} {:.0} {:.0} {:.0})",
            rate(size, times[0]),
            rate(size, times[1]),
            rate(size, opens[0]),
            rate(size, opens[1]),
            100.0 * (times[0] + opens[0]) / (times[1] + opens[1]),
            times[0] * 1e9,
            times[1] * 1e9,
            opens[0] * 1e9,
            opens[1] * 1e9,
        );
    }
}

fn nonce(counter: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

fn rate(size: usize, seconds: f64) -> f64 {
    size as f64 / seconds / 1024.0 / 1024.0
}

/// Seconds a call of each, the best of several rounds that take turns.
fn fastest(mut runs: [&mut dyn FnMut(); 2]) -> [f64; 2] {
    let mut best = [f64::MAX; 2];
    for _ in 0..ROUNDS {
        for (run, best) in runs.iter_mut().zip(&mut best) {
            let (start, mut calls) = (Instant::now(), 0_u32);
            while start.elapsed() < ROUND {
                for _ in 0..64 {
                    run();
                }
                calls += 64;
            }
            *best = best.min(start.elapsed().as_secs_f64() / f64::from(calls));
        }
    }
    best
}
