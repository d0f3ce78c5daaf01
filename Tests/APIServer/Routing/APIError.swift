import JSON

/// Why a request is not served, in the words of a kube-apiserver.
struct APIError: Error, Hashable, Sendable {
    var code: Int
    var reason: String
    var message: String
    var details: JSONObject?
    /// A token that goes on with an expired list.
    var continueToken: String?
    /// Plain text in place of a Status.
    var plainText: String?
    /// In seconds; the header.
    var retryAfter: Int?

    init(
        _ code: Int,
        _ reason: String,
        _ message: String,
        details: JSONObject? = nil,
        continueToken: String? = nil,
        plainText: String? = nil,
        retryAfter: Int? = nil
    ) {
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.continueToken = continueToken
        self.plainText = plainText
        self.retryAfter = retryAfter
    }

    var status: JSONObject {
        var status = JSONObject([
            ("kind", "Status"), ("apiVersion", "v1"),
            ("metadata", .object(JSONObject(continueToken.map { [("continue", .string($0))] } ?? []))),
            ("status", "Failure"), ("message", .string(message)), ("reason", .string(reason)),
        ])
        if let details { status["details"] = .object(details) }
        status["code"] = .number(code)
        return status
    }
}

extension APIError {
    struct Cause {
        let reason: String
        let field: String
        let message: String

        static func invalid(_ field: String, _ value: String, _ why: String) -> Cause {
            Cause(reason: "FieldValueInvalid", field: field, message: "Invalid value: \(value): \(why)")
        }

        static func forbidden(_ field: String, _ why: String) -> Cause {
            Cause(reason: "FieldValueForbidden", field: field, message: "Forbidden: \(why)")
        }

        static func required(_ field: String, _ why: String = "") -> Cause {
            Cause(
                reason: "FieldValueRequired",
                field: field,
                message: "Required value" + (why.isEmpty ? "" : ": \(why)")
            )
        }
    }

    static let unauthorized = APIError(401, "Unauthorized", "Unauthorized")
    /// For paths that lead nowhere.
    static let noPath = APIError(404, "NotFound", "", plainText: "404 page not found")
    static let noResource = APIError(
        404,
        "NotFound",
        "the server could not find the requested resource",
        details: JSONObject()
    )
    static let methodNotAllowed = APIError(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
        details: JSONObject()
    )
    static let unsupportedMediaType = APIError(
        415,
        "UnsupportedMediaType",
        "415: Unsupported Media Type",
        details: JSONObject()
    )
    static let rejectedPatch = APIError(
        422,
        "Invalid",
        "the server rejected our request due to an error in our request",
        details: JSONObject()
    )

    static func badRequest(_ message: String) -> APIError { APIError(400, "BadRequest", message) }

    private static func details(_ name: String, _ type: ResourceType) -> JSONObject {
        var details = JSONObject([("name", .string(name))])
        if !type.group.isEmpty { details["group"] = .string(type.group) }
        details["kind"] = .string(type.plural)
        return details
    }

    static func notFound(_ type: ResourceType, _ name: String) -> APIError {
        APIError(404, "NotFound", "\(type.qualifiedName) \"\(name)\" not found", details: details(name, type))
    }

    static func alreadyExists(_ type: ResourceType, _ name: String) -> APIError {
        APIError(409, "AlreadyExists", "\(type.qualifiedName) \"\(name)\" already exists", details: details(name, type))
    }

    static func modified(_ type: ResourceType, _ name: String) -> APIError {
        conflict(
            type,
            name,
            "the object has been modified; please apply your changes to the latest version and try again"
        )
    }

    static func conflict(_ type: ResourceType, _ name: String, _ why: String) -> APIError {
        APIError(
            409,
            "Conflict",
            "Operation cannot be fulfilled on \(type.qualifiedName) \"\(name)\": \(why)",
            details: details(name, type)
        )
    }

    /// A precondition of a deletion does not hold. The server names the kind here, not the resource.
    static func precondition(_ type: ResourceType, _ name: String, _ why: String) -> APIError {
        var details = JSONObject([("name", .string(name))])
        if !type.group.isEmpty { details["group"] = .string(type.group) }
        details["kind"] = .string(type.kind)
        return APIError(
            409,
            "Conflict",
            "Operation cannot be fulfilled on \(type.qualifiedKind) \"\(name)\": \(why)",
            details: details
        )
    }

    static func invalid(_ type: ResourceType, _ name: String, _ causes: [Cause]) -> APIError {
        invalid(kind: type.kind, group: type.group, name, causes)
    }

    static func invalid(kind: String, group: String, _ name: String, _ causes: [Cause]) -> APIError {
        let messages = causes.map { "\($0.field): \($0.message)" }
        let text = messages.count == 1 ? messages[0] : "[\(messages.joined(separator: ", "))]"
        var details = JSONObject()
        if !name.isEmpty { details["name"] = .string(name) }
        if !group.isEmpty { details["group"] = .string(group) }
        details["kind"] = .string(kind)
        details["causes"] = .array(
            causes.map { ["reason": .string($0.reason), "message": .string($0.message), "field": .string($0.field)] }
        )
        let qualifiedKind = group.isEmpty ? kind : "\(kind).\(group)"
        return APIError(422, "Invalid", "\(qualifiedKind) \"\(name)\" is invalid: \(text)", details: details)
    }

    static func tooOld(list: String = "The resourceVersion for the provided list is too old.") -> APIError {
        APIError(410, "Expired", list)
    }

    static func tooOld(watch revision: UInt64, oldest: UInt64) -> APIError {
        APIError(410, "Expired", "too old resource version: \(revision) (\(oldest))")
    }

    static func tooLarge(_ revision: UInt64, current: UInt64) -> APIError {
        APIError(
            504,
            "Timeout",
            "Timeout: Too large resource version: \(revision), current: \(current)",
            details: JSONObject([
                (
                    "causes",
                    [["reason": "ResourceVersionTooLarge", "message": "Too large resource version"]]
                ),
                ("retryAfterSeconds", 1),
            ]),
            retryAfter: 1
        )
    }

    /// What a server says with a code, for faults.
    static func of(_ code: Int) -> APIError {
        switch code {
        case 401: .unauthorized
        case 404: .noResource
        case 405: .methodNotAllowed
        case 410: .tooOld(watch: 1, oldest: 2)
        case 415: .unsupportedMediaType
        case 429:
            APIError(
                429,
                "TooManyRequests",
                "storage is (re)initializing",
                details: JSONObject([("retryAfterSeconds", 1)])
            )
        case 500:
            APIError(
                500,
                "InternalError",
                "Internal error occurred: etcdserver: leader changed",
                details: JSONObject([("causes", [["message": "etcdserver: leader changed"]])])
            )
        case 503:
            APIError(503, "ServiceUnavailable", "the server is currently unable to handle the request")
        case 504: APIError(504, "Timeout", "Timeout: request did not complete within the allotted timeout")
        default: APIError(code, "Unknown", "an error on the server (\"\") has prevented the request from succeeding")
        }
    }
}
