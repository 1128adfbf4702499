#include "compute/product_times.h"

#include "base/clock.h"
#include "base/memory.h"
#include "compute/cpu/onednn.h"

#include <string.h>

/* Numbers between -0.5 and 0.5; the speed does not depend on them. */
static void fill(void *at, int64_t n, dtype type) {
    for (int64_t i = 0; i < n; i++) {
        float x = (float)((i * 2654435761LL >> 7) % 1001) * 1e-3f - 0.5f;
        uint32_t bits;
        memcpy(&bits, &x, 4);
        if (type == DTYPE_F32)
            ((float *)at)[i] = x;
        else
            ((uint16_t *)at)[i] = (uint16_t)(bits >> 16);
    }
}

typedef struct {
    gemm *g;
    gemm_matrix *matrix;
    void *left, *result;
} product;

static esp_status open_product(product *p, dtype type, int threads, int64_t rows, int64_t out, int64_t in,
                               esp_error *error) {
    void *right = NULL;
    ESP_TRY(gemm_new(&p->g, type, threads, error));
    dtype input = gemm_input(p->g);
    ESP_TRY(mem_big_alloc(&p->left, (size_t)(rows * in) * dtype_size(input), "a product to time", error));
    ESP_TRY(mem_big_alloc(&p->result, (size_t)(rows * out) * dtype_size(input), "a product to time", error));
    ESP_TRY(gemm_matrix_new(p->g, &p->matrix, in, out, error));
    ESP_TRY(mem_big_alloc(&right, (size_t)(out * in) * dtype_size(input), "a product to time", error));
    fill(p->left, rows * in, input);
    fill(right, out * in, input);
    esp_status status = gemm_matrix_set(p->g, p->matrix, right, 1, in, error); /* stored [out, in] */
    mem_big_free(right);
    return status;
}

static void close_product(product *p) {
    gemm_matrix_free(p->matrix);
    gemm_free(p->g);
    mem_big_free(p->left);
    mem_big_free(p->result);
}

esp_status product_times(dtype type, int threads, int64_t rows, int64_t out, int64_t in, int least,
                         double least_seconds, int most, double *seconds, int *count, esp_error *error) {
    product p = {0};
    esp_status status = open_product(&p, type, threads, rows, out, in, error);
    double start = clock_seconds();
    *count = 0;
    for (int i = 0;
         (i <= least || clock_seconds() - start < least_seconds) && *count < most && status == ESP_OK; i++) {
        double began = clock_seconds();
        status = gemm_multiply(p.g, p.matrix, rows, p.left, p.result, gemm_input(p.g), false, error);
        if (i > 0) seconds[(*count)++] = clock_seconds() - began;
    }
    close_product(&p);
    return status;
}
