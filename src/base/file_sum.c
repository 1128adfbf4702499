#include "base/file_sum.h"

#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 1 << 20 }; /* bytes read at a time: large enough that the calls cost nothing */

static esp_status no_hash(esp_error *error) {
    return error_fail(error, "check the installation of OpenSSL (libcrypto)", "SHA-256 is not available");
}

static esp_status begin(EVP_MD_CTX **out, esp_error *error) {
    *out = EVP_MD_CTX_new();
    if (*out && EVP_DigestInit_ex(*out, EVP_sha256(), NULL) == 1) return ESP_OK;
    EVP_MD_CTX_free(*out);
    return no_hash(error);
}

/* Frees the context. */
static esp_status end(EVP_MD_CTX *context, file_sum *out, esp_error *error) {
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    bool done = EVP_DigestFinal_ex(context, hash, &length) == 1 && 2 * length + 1 == sizeof out->sha256;
    EVP_MD_CTX_free(context);
    if (!done) return no_hash(error);
    for (unsigned i = 0; i < length; i++) snprintf(out->sha256 + 2 * (size_t)i, 3, "%02x", hash[i]);
    return ESP_OK;
}

static esp_status add_file(EVP_MD_CTX *context, int fd, const char *path, int64_t *bytes, esp_error *error) {
    unsigned char *piece = mem_alloc(PIECE);
    ssize_t n;
    esp_status status = ESP_OK;
    while (status == ESP_OK && (n = read(fd, piece, PIECE)) != 0) {
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            status =
                error_fail(error, "see that its disk is sound", "%s: cannot read: %s", path, strerror(errno));
        else if (EVP_DigestUpdate(context, piece, (size_t)n) != 1)
            status = no_hash(error);
        else
            *bytes += n;
    }
    mem_free(piece);
    return status;
}

esp_status file_sum_of(const char *path, file_sum *out, esp_error *error) {
    int fd;
    EVP_MD_CTX *context;
    *out = (file_sum){0};
    ESP_TRY(file_open_regular(path, &fd, error));
    esp_status status = begin(&context, error);
    if (status == ESP_OK) {
        status = add_file(context, fd, path, &out->bytes, error);
        if (status == ESP_OK)
            status = end(context, out, error);
        else
            EVP_MD_CTX_free(context);
    }
    close(fd);
    return status;
}

esp_status file_sum_of_bytes(const void *bytes, size_t length, file_sum *out, esp_error *error) {
    EVP_MD_CTX *context;
    *out = (file_sum){.bytes = (int64_t)length};
    ESP_TRY(begin(&context, error));
    if (EVP_DigestUpdate(context, bytes, length) == 1) return end(context, out, error);
    EVP_MD_CTX_free(context);
    return no_hash(error);
}

bool file_sum_equal(const file_sum *a, const file_sum *b) {
    return a->bytes == b->bytes && strcmp(a->sha256, b->sha256) == 0;
}
