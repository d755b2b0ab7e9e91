"""What a request can end with instead of an answer."""

CODES = {
    "invalid_request_error": 400, "authentication_error": 401, "not_found_error": 404, "server_error": 500,
    "not_supported_error": 501, "unavailable_error": 503,
}


class ApiError(Exception):
    """An error as the API tells it. `mistake`: the client's own, which --openai-strict answers with 400."""

    def __init__(self, message, type="invalid_request_error", mistake=False):
        super().__init__(message)
        self.message = message
        self.type = type
        self.mistake = mistake

    def body(self, strict=False):
        """{code, message, type}, as it stands in a stream."""
        type = "invalid_request_error" if strict and self.mistake else self.type
        return {"code": CODES[type], "message": self.message, "type": type}


def mistake(message):
    """What the reference answers with 500 although the client is to blame."""
    return ApiError(message, "server_error", mistake=True)
