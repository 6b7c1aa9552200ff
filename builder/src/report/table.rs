use comfy_table::{CellAlignment, ContentArrangement, Table};

/// A plain table of at most `width` columns, without rules; `None` is as wide as it needs.
///
/// Columns whose header begins with `>` are aligned to the right.
pub fn table(width: Option<u16>, headers: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    match width {
        Some(width) => {
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_width(width);
        }
        None => {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    table.set_header(headers.iter().map(|h| h.trim_start_matches('>')));
    for row in rows {
        table.add_row(row);
    }
    for (i, header) in headers.iter().enumerate() {
        if let Some(column) = table.column_mut(i) {
            column.set_padding((0, 2));
            if header.starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    let text = table.to_string();
    text.lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

/// `1 image`, `20 images`.
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Bytes as people say them, in powers of 1000 as Docker does: `412 MB`.
pub fn human_size(bytes: u64) -> String {
    let mut value = bytes;
    let mut rest = 0;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000 {
            return match (unit, value) {
                ("GB", _) | ("MB", 0..=9) => format!("{value}.{} {unit}", rest / 100),
                _ => format!("{value} {unit}"),
            };
        }
        rest = value % 1000;
        value /= 1000;
    }
    format!("{value}.{} TB", rest / 100)
}

/// A duration as people say it: `0.4 s`, `12 s`, `3 min 05 s`.
pub fn human_seconds(seconds: f64) -> String {
    if seconds < 10.0 {
        return format!("{seconds:.1} s");
    }
    let whole = std::time::Duration::try_from_secs_f64(seconds.round())
        .unwrap_or_default()
        .as_secs();
    if whole < 100 {
        format!("{whole} s")
    } else {
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_short() {
        let sizes = [
            0,
            999,
            1000,
            4_200_000,
            412_345_678,
            1_250_000_000,
            3_000_000_000_000,
        ];
        assert_eq!(
            sizes.map(human_size),
            [
                "0 B", "999 B", "1 kB", "4.2 MB", "412 MB", "1.2 GB", "3.0 TB"
            ]
        );
        assert_eq!(
            [0.04, 9.94, 12.4, 99.0, 125.0].map(human_seconds),
            ["0.0 s", "9.9 s", "12 s", "99 s", "2 min 05 s"]
        );
    }

    #[test]
    fn a_table_keeps_to_its_width() {
        let rows = vec![
            vec!["a".repeat(30), "1".into()],
            vec!["b".into(), "22".into()],
        ];
        assert_eq!(
            table(None, &["name", ">n"], rows.clone()).lines().count(),
            3
        );
        assert!(
            table(Some(20), &["name", ">n"], rows)
                .lines()
                .all(|l| l.chars().count() <= 20)
        );
    }
}
