//! Short names for contents: FNV-1a, without vowels so that it is no word. Pure.

/// The short name of a text.
pub(crate) fn of(text: &str) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let letter = |byte: u8| LETTERS.get(usize::from(byte) % LETTERS.len());
    let padded = format!("{hash:010}");
    let letters = padded.bytes().filter_map(letter);
    letters.map(|letter| char::from(*letter)).collect()
}
