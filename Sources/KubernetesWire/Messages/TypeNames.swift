import JSON
import KubernetesAPI

/// `apiVersion` and `kind`.
struct TypeNames: Hashable {
    var apiVersion: String?
    var kind: String?

    /// Whether the member is one of them, and was read.
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) -> Bool {
        switch name {
        case "apiVersion": apiVersion = try reader.string()
        case "kind": kind = try reader.string()
        default: return false
        }
        return true
    }

    /// Why an object is not one of the kind that is wanted.
    func fault(wanted: ObjectKind, typed: Bool) -> FieldError? {
        if kind.map({ $0 != wanted.rawValue }) ?? typed {
            return FieldError("kind", reason: "expected \(wanted.rawValue), found \(Self.quoted(kind))")
        }
        if apiVersion.map({ $0 != wanted.apiVersion }) ?? typed {
            return FieldError("apiVersion", reason: "expected \(wanted.apiVersion), found \(Self.quoted(apiVersion))")
        }
        return nil
    }

    /// - Throws: when it is no list of this kind.
    func check(listOf wanted: ObjectKind) throws(WireError) {
        guard kind == wanted.rawValue + "List", apiVersion == wanted.apiVersion else {
            throw WireError(
                .unexpectedKind,
                "expected a \(wanted.rawValue)List of \(wanted.apiVersion), found \(Self.quoted(kind))"
                    + (apiVersion.map { " of \($0.prefix(64))" } ?? "")
            )
        }
    }

    private static func quoted(_ text: String?) -> String {
        guard let text, !text.isEmpty else { return "none" }
        return String(text.prefix(64))
    }
}
