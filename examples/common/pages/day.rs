use coursegate::AdminId;
use coursegate::store::{CourseFigures, DayFigures, Figures};

use super::{Counts, admins, text};

/// Figures of the last days, as small plots with their numbers beside them.
pub fn day(
    person: &AdminId,
    counts: &Counts,
    days: &[DayFigures],
    courses: &[CourseFigures],
) -> String {
    let rand = |figures: &Figures| {
        let sums = figures.sums.iter();
        let zar = sums.filter(|sum| sum.currency.code() == "ZAR");
        zar.map(|sum| sum.minor).sum::<i64>() / 100
    };
    let plots = [
        plot(
            "Payments",
            days,
            |day| count(day.payments),
            |value| value.to_string(),
        ),
        plot("Money in, less what went back", days, rand, |value| {
            format!("R {value}")
        }),
        plot(
            "Enrollments",
            days,
            |day| count(day.enrolled),
            |value| value.to_string(),
        ),
        plot("Of these approved since", days, conversion, |value| {
            format!("{value} %")
        }),
        plot(
            "Time to approval, for half of them at most",
            days,
            |day| count(day.median_approval.unwrap_or(0)),
            duration,
        ),
    ];
    let rows: String = courses
        .iter()
        .map(|course| {
            let figures = &course.figures;
            format!(
                "<tr><td data-label=\"Course\">{}</td><td class=\"sum\" data-label=\"Payments\">{}</td>\
                 <td class=\"sum\" data-label=\"Money\">R {}</td><td class=\"sum\" data-label=\"Enrollments\">{}</td>\
                 <td class=\"sum\" data-label=\"Approved\">{} %</td></tr>",
                text(course.course.as_str()),
                figures.payments,
                rand(figures),
                figures.enrolled,
                conversion(figures)
            )
        })
        .collect();
    let body = format!(
        "<div class=\"plots\">{}</div><h2>By course, the last 14 days</h2><table><thead><tr><th>Course</th>\
         <th class=\"sum\">Payments</th><th class=\"sum\">Money</th><th class=\"sum\">Enrollments</th>\
         <th class=\"sum\">Approved</th></tr></thead><tbody>{rows}</tbody></table>",
        plots.concat()
    );
    admins("Figures of the day", person, counts, "/admin/day", &body)
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Percent of the enrollments that were approved.
fn conversion(figures: &Figures) -> i64 {
    count(figures.approved * 100 / figures.enrolled.max(1))
}

fn duration(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

/// One bar for each day, the last one today's, whose number stands above.
fn plot(
    name: &str,
    days: &[DayFigures],
    value: impl Fn(&Figures) -> i64,
    show: impl Fn(i64) -> String,
) -> String {
    let values: Vec<i64> = days.iter().map(|day| value(&day.figures).max(0)).collect();
    let most = values.iter().copied().max().unwrap_or(0).max(1);
    let width = 280 / i64::try_from(days.len().max(1)).unwrap_or(1);
    let mut at = 0;
    let bars: String = days
        .iter()
        .zip(&values)
        .map(|(day, &value)| {
            let height = (value * 60 / most).max(1);
            let class = if at / width + 1 == i64::try_from(days.len()).unwrap_or(0) { "today" } else { "" };
            let bar = format!(
                "<rect class=\"{class}\" x=\"{at}\" y=\"{}\" width=\"{}\" height=\"{height}\"><title>{}: {}</title></rect>",
                62 - height,
                width - 2,
                day.day,
                show(value)
            );
            at += width;
            bar
        })
        .collect();
    let numbers: Vec<String> = values.iter().map(|value| show(*value)).collect();
    format!(
        "<figure><figcaption>{name}<strong>{}</strong></figcaption><svg viewBox=\"0 0 280 62\" role=\"img\" \
         aria-label=\"{name}, by day: {}\">{bars}</svg></figure>",
        show(values.last().copied().unwrap_or(0)),
        numbers.join(", ")
    )
}
