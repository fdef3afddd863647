//! What a report says of the machine that it was made on.

/// Processor, cores, memory and kernel, as the machine tells them.
pub(crate) fn machine() -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let after = |text: String, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).map(str::to_owned);
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned())).unwrap_or_else(|| "unknown".to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = after(read("/proc/cpuinfo"), "model name");
    let memory = after(read("/proc/meminfo"), "MemTotal");
    let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
    format!("{model}, {cores} cores, {memory}, Linux {kernel}")
}
