//! A terminal without a kernel: what a person types becomes lines, is shown, and can be taken back; what a program writes becomes what
//! a screen shows. The modes are those of a new terminal of Linux (ICANON, ECHO, ISIG, ICRNL, ONLCR). Pure.

/// Bytes of a line; a terminal of Linux takes as many.
const LONGEST: usize = 4096;

const INTERRUPT: u8 = 3;
const END: u8 = 4;
const BACKSPACE: u8 = 8;
const KILL: u8 = 21;
const DELETE: u8 = 127;

/// What a person types, until a line is whole.
#[derive(Debug, Default)]
pub struct Terminal {
    line: Vec<u8>,
}

/// What follows from what was typed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Typed {
    /// For the program.
    pub input: Vec<u8>,
    /// For the screen, as [`shown`] has it.
    pub shown: Vec<u8>,
    /// What the person wants.
    pub wish: Wish,
}

/// What a person wants of a program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wish {
    /// It goes on.
    #[default]
    GoOn,
    /// No more input comes (`^D`).
    End,
    /// It ends now (`^C`).
    Interrupt,
}

impl Terminal {
    /// Takes what was typed. What follows an end or an interrupt is dropped.
    pub fn typed(&mut self, bytes: &[u8]) -> Typed {
        let mut typed = Typed::default();
        for byte in bytes {
            self.key(*byte, &mut typed);
            if typed.wish != Wish::GoOn {
                break;
            }
        }
        typed
    }

    fn key(&mut self, byte: u8, typed: &mut Typed) {
        match byte {
            INTERRUPT => {
                typed.shown.extend(b"^C\n");
                typed.wish = Wish::Interrupt;
            }
            // In the midst of a line it hands over what there is.
            END if !self.line.is_empty() => typed.input.append(&mut self.line),
            END => typed.wish = Wish::End,
            BACKSPACE | DELETE => self.take_back(typed),
            KILL => (0..self.line.len()).for_each(|_| self.take_back(typed)),
            b'\r' | b'\n' => {
                self.line.push(b'\n');
                typed.shown.push(b'\n');
                typed.input.append(&mut self.line);
            }
            _ if self.line.len() >= LONGEST => typed.shown.push(7),
            _ => {
                self.line.push(byte);
                match byte {
                    b'\t' | 32.. => typed.shown.push(byte),
                    control => typed.shown.extend([b'^', control + 64]),
                }
            }
        }
    }

    /// The last character goes, which may be of several bytes.
    fn take_back(&mut self, typed: &mut Typed) {
        let continues = |byte: u8| byte & 0b1100_0000 == 0b1000_0000;
        while let Some(last) = self.line.pop() {
            if !continues(last) {
                let wide = last < 32 && last != b'\t';
                let erased = b"\x08 \x08".repeat(1 + usize::from(wide));
                typed.shown.extend(erased);
                return;
            }
        }
    }
}

/// What a screen shows of what a program wrote.
pub fn shown(written: &[u8]) -> Vec<u8> {
    let mut shown = Vec::with_capacity(written.len() + 8);
    for byte in written {
        if *byte == b'\n' {
            shown.push(b'\r');
        }
        shown.push(*byte);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_handed_over_when_it_is_whole_and_can_be_taken_back_before() {
        let mut terminal = Terminal::default();
        let typed = terminal.typed("héx".as_bytes());
        assert!(typed.input.is_empty());
        assert_eq!(typed.shown, "héx".as_bytes());
        let typed = terminal.typed(&[DELETE, DELETE, b'i', b'\r']);
        assert_eq!(typed.input, b"hi\n");
        assert_eq!(typed.shown, b"\x08 \x08\x08 \x08i\n");
        let typed = terminal.typed(&[b'a', b'b', KILL, b'c', END]);
        assert_eq!(typed.input, b"c");
        assert_eq!(shown(b"a\nb"), b"a\r\nb");
    }

    #[test]
    fn a_person_ends_the_input_or_the_program() {
        let mut terminal = Terminal::default();
        assert_eq!(terminal.typed(&[END]).wish, Wish::End);
        let typed = terminal.typed(&[b'a', b'\n', INTERRUPT, b'b']);
        assert_eq!(
            (typed.input.as_slice(), typed.wish),
            (&b"a\n"[..], Wish::Interrupt)
        );
        let long = vec![b'x'; LONGEST + 10];
        let typed = terminal.typed(&long);
        assert!(
            typed.shown.ends_with(&[7; 10]),
            "a bell for each that is too much"
        );
    }
}
