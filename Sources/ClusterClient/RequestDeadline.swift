/// The moment by which the work of a task has to be over, whatever it waits for.
///
/// A program that must answer in time (a CNI verb) sets it once around its work; stores that wait for a lock or a server,
/// and callers that try again, stop by then.
public enum RequestDeadline {
    /// `nil` when there is no limit but each operation's own.
    @TaskLocal public static var current: ContinuousClock.Instant?
}
