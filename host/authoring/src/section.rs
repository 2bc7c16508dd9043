//! Custom sections at the end of a component.

/// Appends a custom section, unless the same bytes are in the file already.
pub fn attach(wasm: &mut Vec<u8>, name: &str, data: &[u8]) {
    if data.is_empty() || wasm.windows(data.len()).any(|window| window == data) {
        return;
    }
    let mut body = leb128(name.len());
    body.extend(name.as_bytes());
    body.extend(data);
    wasm.push(0);
    wasm.extend(leb128(body.len()));
    wasm.extend(body);
}

/// An unsigned number, seven bits a byte, lowest first.
fn leb128(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_appended_once() {
        let mut wasm = b"\0asm\x0d\0\x01\0".to_vec();
        attach(&mut wasm, "osier.x", &[b'x'; 200]);
        assert_eq!(wasm[8..12], [0, 0xd0, 0x01, 7]);
        assert_eq!(wasm.len(), 8 + 3 + 1 + 7 + 200);
        let before = wasm.clone();
        attach(&mut wasm, "osier.x", &[b'x'; 200]);
        assert_eq!(wasm, before);
    }
}
