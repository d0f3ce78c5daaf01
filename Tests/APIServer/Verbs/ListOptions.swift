import FoundationEssentials
import JSON

extension APIService {
    /// The selectors of a request, in the namespace of its path.
    func selection(_ request: Request, _ type: ResourceType, _ path: ResourcePath) throws(APIError) -> Selection {
        let labels: Selector
        do throws(Selector.Failure) {
            labels = try Selector(labels: request.query["labelSelector"] ?? "")
        } catch {
            throw .badRequest("unable to parse requirement: \(error.message)")
        }
        var fields: Selector
        do throws(Selector.Failure) {
            fields = try Selector(fields: request.query["fieldSelector"] ?? "", type)
        } catch {
            throw .badRequest(error.message)
        }
        // A watch of one object names it in the path.
        if let name = path.name { fields.requirements.append(.in("metadata.name", [name])) }
        return Selection(namespace: path.namespace, labels: labels, fields: fields)
    }

    /// The resourceVersion that a request asks for; `nil` for none.
    func resourceVersion(_ request: Request) throws(APIError) -> UInt64? {
        guard let text = request.query["resourceVersion"], !text.isEmpty else { return nil }
        guard let version = UInt64(text) else {
            throw .badRequest(
                "invalid resource version: resourceVersion: Invalid value: \"\(text)\": strconv.ParseUint: parsing "
                    + "\"\(text)\": invalid syntax"
            )
        }
        return version
    }

    static func invalidOptions(_ causes: [APIError.Cause]) -> APIError {
        .invalid(kind: "ListOptions", group: "meta.k8s.io", "", causes)
    }
}

/// Where the next page of a list starts, in the form that a kube-apiserver gives its tokens.
struct ContinueToken: Hashable {
    /// `nil` for a list that goes on with what is there now, after its revision has expired.
    var revision: UInt64?
    /// The last object of the page before.
    var after: ObjectID

    init(revision: UInt64?, after: ObjectID) {
        self.revision = revision
        self.after = after
    }

    /// - Parameter namespace: of the request; a token of a list in one namespace holds only the name.
    init(_ text: String, namespace: String?) throws(APIError) {
        var base64 = text.replacing("-", with: "+").replacing("_", with: "/")
        base64 += String(repeating: "=", count: (4 - base64.utf8.count % 4) % 4)
        guard let bytes = Data(base64Encoded: base64).map({ [UInt8]($0) }),
            let token = try? JSONValue(parsing: bytes.span).object,
            token["v"] == "meta.k8s.io/v1", let number = token["rv"]?.integer, var start = token["start"]?.text
        else {
            throw .badRequest(
                "invalid continue token: continue key is not valid: invalid character '\\x00' looking for beginning "
                    + "of value"
            )
        }
        if start.hasPrefix("/") { start.removeFirst() }
        if start.hasSuffix("\0") { start.removeLast() }
        let parts = start.split(separator: "/", maxSplits: 1)
        if let namespace {
            after = ObjectID(namespace: namespace, name: start)
        } else if parts.count == 2 {
            after = ObjectID(namespace: String(parts[0]), name: String(parts[1]))
        } else {
            after = ObjectID(namespace: "", name: start)
        }
        revision = number < 0 ? nil : UInt64(number)
    }

    func text(namespace: String?) -> String {
        let isExpired = revision == nil
        let key = namespace == nil && !after.namespace.isEmpty ? "\(after.namespace)/\(after.name)" : after.name
        let start = (isExpired || namespace == nil ? "" : "/") + key + "\0"
        let token = JSONObject([
            ("v", "meta.k8s.io/v1"), ("rv", .number(revision.map { Int64($0) } ?? -1)), ("start", .string(start)),
        ])
        return Data(JSONValue.object(token).text().utf8).base64EncodedString()
            .replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
}
