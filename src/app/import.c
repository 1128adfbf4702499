/* espalier import: converts a model in any readable form to a Hugging Face folder. */
#include "app/out_folder.h"
#include "app/output.h"
#include "app/stop.h"
#include "app/verbs.h"
#include "formats/tensor_file.h"
#include "model/adapter_file.h"
#include "model/model.h"
#include "store/store.h"
#include "text/tokenizer.h"

#include <string.h>

typedef enum { IMPORT_AUTO, IMPORT_BF16, IMPORT_F32 } import_dtype;

typedef struct {
    int dtype;
} import_flags;

static const option import_options[] = {
    {.flag = "--dtype",
     .type = OPTION_ENUM,
     .choices = "auto|bf16|f32",
     .initial = "auto",
     .offset = offsetof(import_flags, dtype),
     .help = "number format to write; auto: bf16 if that loses nothing, else f32. Quantized tensors are "
             "always rounded to bf16"},
};

/* Whether bf16 can represent every number of a tensor exactly. */
static esp_status fits_bf16(const tensor_entry *t, bool *fits, esp_error *error) {
    enum { CHUNK = 16384 };
    float values[CHUNK];
    int64_t n = tensor_elements(t);
    *fits = true;
    if (t->type == TENSOR_BF16 || tensor_type_block(t->type) > 1) return ESP_OK;
    for (int64_t at = 0; at < n && *fits; at += CHUNK) {
        int64_t count = n - at < CHUNK ? n - at : CHUNK;
        ESP_TRY(tensor_read_f32(t, at, count, values, error));
        for (int64_t i = 0; i < count; i++) {
            uint32_t bits;
            memcpy(&bits, &values[i], 4);
            if (bits & 0xffff) *fits = false;
        }
    }
    return ESP_OK;
}

static esp_status choose_dtype(const char *source, import_dtype wanted, dtype *out, esp_error *error) {
    *out = wanted == IMPORT_F32 ? DTYPE_F32 : DTYPE_BF16;
    if (wanted != IMPORT_AUTO) return ESP_OK;
    tensor_source *tensors;
    ESP_TRY(tensor_source_open(&tensors, source, error));
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < tensor_source_count(tensors) && status == ESP_OK && *out == DTYPE_BF16; i++) {
        const tensor_entry *t = tensor_source_at(tensors, i);
        bool fits = true;
        if (tensor_type_readable(t->type)) status = fits_bf16(t, &fits, error);
        if (!fits) *out = DTYPE_F32;
    }
    tensor_source_close(tensors);
    return status;
}

static esp_status import_into(const char *source, const char *folder, import_dtype wanted, dtype *type,
                              esp_error *error) {
    tokenizer *t;
    model_config config;
    bool known;
    ESP_TRY(store_check_model(source, &known, error));
    ESP_TRY(model_read_config(&config, source, error));
    ESP_TRY(choose_dtype(source, wanted, type, error));
    ESP_TRY(adapter_tokenizer_open(&t, source, error));
    esp_status status = tokenizer_save(t, folder, error);
    tokenizer_close(t);
    if (status == ESP_OK) status = stop_check(error);
    if (status == ESP_OK) status = model_convert(source, folder, *type, error);
    return status == ESP_OK ? stop_check(error) : status;
}

static esp_status import_run(const cli_arguments *arguments, void *own, esp_error *error) {
    const import_flags *flags = own;
    const char *source = arguments->positionals[0], *folder = arguments->positionals[1];
    dtype type;
    out_folder out;
    stop_install();
    ESP_TRY(out_folder_begin(&out, folder, error));
    esp_status status = import_into(source, out.aside, (import_dtype)flags->dtype, &type, error);
    if (status != ESP_OK) {
        out_folder_abort(&out);
        return status;
    }
    ESP_TRY(out_folder_end(&out, error));
    const char *name = type == DTYPE_F32 ? "f32" : "bf16";
    if (arguments->json)
        return output_json(json_pack("{ss ss ss}", "source", source, "folder", folder, "dtype", name), 17,
                           error);
    char *line = mem_printf("%s: %s in Hugging Face layout, %s\n", folder, source, name);
    esp_status written = output_text(line, strlen(line), error);
    mem_free(line);
    return written;
}

const app_verb verb_import = {
    .cli = {.name = "import",
            .summary = "convert a GGUF file or a folder to a Hugging Face folder",
            .positionals = "SRC DIR",
            .least = 2,
            .most = 2,
            .options = {import_options, sizeof import_options / sizeof *import_options},
            .about =
                "Writes config.json, model.safetensors and the tokenizer's files. DIR is complete or does\n"
                "not appear; it may exist if it is empty or contains a model."},
    .own_size = sizeof(import_flags),
    .run = import_run,
};
