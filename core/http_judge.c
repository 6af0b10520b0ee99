// What the header of an answer means for the request that led to it.
// SPDX-License-Identifier: MIT
#include "baton/http.h"

#include <string.h>

#include "baton/error.h"

bool baton_http_request_is_same(
        const struct baton_request *self, const struct baton_request *other) {
    return self->url == other->url && self->from == other->from
           && self->to == other->to && self->etag == other->etag
           && self->known_etag == other->known_etag
           && self->may_downgrade == other->may_downgrade;
}

static int judge_failure(unsigned status) {
    switch (status) {
    case 401:
    case 403:
    case 407:
        return BATON_ERR_HTTP_DENIED;
    case 404:
    case 410:
        return BATON_ERR_HTTP_NOT_FOUND;
    case 416:
        return BATON_ERR_HTTP_RANGE;
    case 408:
    case 425:
    case 429:
        return BATON_ERR_HTTP_BUSY;
    default:
        return status >= 500 && status < 600 ? BATON_ERR_HTTP_BUSY
                                             : BATON_ERR_HTTP_STATUS;
    }
}

static bool is_redirect(unsigned status) {
    return status == 301 || status == 302 || status == 303 || status == 307
           || status == 308;
}

// The part that was asked for, all of it, and nothing else.
static int judge_range(const struct baton_http_head *self,
        const struct baton_request *request) {
    struct baton_response *response = self->response;
    uint32_t to = request->to;
    if (self->has_range_total && (to == 0 || to > self->range_total)) {
        to = self->range_total;
    }
    bool is_asked = request->from != 0 || request->to != 0;
    if (!is_asked || !self->has_range || self->range_from != request->from
            || (to != 0 && self->range_to != to)) {
        return BATON_ERR_HTTP_RANGE;
    }
    response->from = self->range_from;
    response->body_bytes = self->range_to - self->range_from;
    response->total_bytes = self->range_total;
    if (self->has_length && !self->is_chunked
            && self->length != response->body_bytes) {
        return BATON_ERR_HTTP_LENGTH;
    }
    return 0;
}

static int judge_file(const struct baton_http_head *self,
        const struct baton_request *request) {
    struct baton_response *response = self->response;
    if (self->is_encoded) {
        return BATON_ERR_HTTP_ENCODING;
    }
    if (request->etag != NULL && response->etag[0] != 0
            && strcmp(request->etag, response->etag) != 0) {
        return BATON_ERR_HTTP_CHANGED;
    }
    if (self->status == 206) {
        return judge_range(self, request);
    }
    if (self->has_length && !self->is_chunked) {
        response->body_bytes = self->length;
        response->total_bytes = self->length;
    }
    return 0;
}

int baton_http_head_judge(const struct baton_http_head *self,
        const struct baton_request *request) {
    if (self->status == 200 || self->status == 203 || self->status == 206) {
        return judge_file(self, request);
    }
    if (is_redirect(self->status)) {
        return self->location_len != 0 ? BATON_HTTP_FOLLOW
                                       : BATON_ERR_HTTP_FORMAT;
    }
    if (self->status == 304 && request->known_etag != NULL) {
        self->response->unchanged = true;
        return 0;
    }
    if (self->status == 416 && !self->has_range) {
        self->response->total_bytes = self->range_total;
    }
    return judge_failure(self->status);
}
