//! Aligned columns, as Docker prints lists; on a terminal that is too narrow the widest columns are cut.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns between two cells.
const GAP: usize = 3;
/// Narrowest cell, with its gap, as Docker pads them.
const NARROWEST: usize = 10;
/// A column is not cut below this, so that it still tells something apart.
const SHORTEST_CUT: usize = 12;

/// Lines `rows` up, the last column unpadded. `width` is the terminal's, none when the output is no terminal.
pub(crate) fn render(rows: &[Vec<String>], width: Option<usize>) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.width())
                .max()
                .unwrap_or(0)
        })
        .collect();
    if let Some(width) = width {
        fit(&mut widths, width);
    }
    let mut out = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let room = widths.get(column).copied().unwrap_or(0);
            let shown = cut(cell, room);
            out.push_str(&shown);
            if column + 1 < row.len() {
                let padded = (room + GAP).max(NARROWEST);
                out.extend(std::iter::repeat_n(' ', padded.saturating_sub(shown.width())));
            }
        }
        out.push('\n');
    }
    out
}

/// Takes from the widest column until the whole fits, or nothing more can be taken.
fn fit(widths: &mut [usize], width: usize) {
    let taken = |widths: &[usize]| -> usize {
        let (last, others) = match widths.split_last() {
            Some((last, others)) => (*last, others),
            None => return 0,
        };
        others.iter().map(|w| (w + GAP).max(NARROWEST)).sum::<usize>() + last
    };
    while taken(widths) > width {
        let Some(widest) = widths.iter_mut().max_by_key(|width| **width) else {
            return;
        };
        if *widest <= SHORTEST_CUT {
            return;
        }
        *widest -= 1;
    }
}

fn cut(cell: &str, room: usize) -> String {
    if cell.width() <= room {
        return cell.to_owned();
    }
    shorten(cell, room)
}

/// `text` in at most `room` columns, the last of them `…` if something is missing.
pub(crate) fn shorten(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for character in text.chars() {
        let width = character.width().unwrap_or(0);
        if used + width + 1 > room {
            break;
        }
        used += width;
        out.push(character);
    }
    if room > 0 {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &[&[&str]]) -> Vec<Vec<String>> {
        text.iter()
            .map(|row| row.iter().map(|cell| (*cell).to_owned()).collect())
            .collect()
    }

    #[test]
    fn cells_are_padded_as_docker_pads_them() {
        let rows = rows(&[&["ID", "IMAGE", "X"], &["1", "a-long-image", "y"]]);
        assert_eq!(
            render(&rows, None),
            "ID        IMAGE          X\n1         a-long-image   y\n"
        );
    }

    #[test]
    fn a_narrow_terminal_cuts_the_widest_column() {
        let rows = rows(&[&["NAME", "COMMAND"], &["web", "a very long command line indeed"]]);
        assert_eq!(
            render(&rows, Some(30)),
            "NAME      COMMAND\nweb       a very long command…\n"
        );
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(shorten("日本語", 5), "日本…");
        assert_eq!(shorten("日本語", 4), "日…");
        assert_eq!(shorten("abc", 3), "abc");
    }
}
