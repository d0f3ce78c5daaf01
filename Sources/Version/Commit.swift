/// The commit that the programs were built from, shortened; `nil` when the sources do not say it.
///
/// `git archive`, and with it every archive that is made of a release, writes it in here (gitattributes(5), export-subst).
/// In a checkout it is not known: what could be written there would be stale after the next commit, or make every build
/// link all programs anew.
public let swiftletCommit: String? = archivedCommit.hasPrefix("$") ? nil : archivedCommit

private let archivedCommit = "$Format:%h$"
