//! Rates and times.

use std::time::Instant;

/// How many a second, with so many callers at once.
pub async fn rate<T, F>(items: &[T], callers: usize, handle: impl Fn(T) -> F) -> f64
where
    T: Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let handle = &handle;
    let tasks: Vec<Vec<F>> = (0..callers)
        .map(|caller| {
            items
                .iter()
                .skip(caller)
                .step_by(callers)
                .cloned()
                .map(handle)
                .collect()
        })
        .collect();
    let begun = Instant::now();
    let tasks: Vec<_> = tasks
        .into_iter()
        .map(|futures| {
            tokio::spawn(async move {
                for future in futures {
                    future.await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    items.len() as f64 / begun.elapsed().as_secs_f64()
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The median time of a call, in milliseconds.
pub async fn time<T>(mut call: impl AsyncFnMut() -> T) -> f64 {
    let mut times = Vec::new();
    for _ in 0..50 {
        let begun = Instant::now();
        call().await;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    median(times)
}
