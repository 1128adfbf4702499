/* espalier export: a run's policy for other programs. */
#include "app/out_folder.h"
#include "app/output.h"
#include "app/run_policy.h"
#include "app/stop.h"
#include "app/verbs.h"
#include "base/file.h"
#include "model/adapter_file.h"
#include "model/model.h"
#include "store/store.h"
#include "text/tokenizer.h"

#include <string.h>

typedef struct {
    char *checkpoint;
    int dtype; /* 0 f32, 1 bf16 */
    bool merge;
} export_flags;

static const option export_options[] = {
    {.flag = "--checkpoint",
     .type = OPTION_STRING,
     .offset = offsetof(export_flags, checkpoint),
     .help = "a folder in checkpoints/, or best: by the run's evaluations; default: the run's last policy"},
    {.flag = "--dtype",
     .type = OPTION_ENUM,
     .choices = "f32|bf16",
     .initial = "f32",
     .offset = offsetof(export_flags, dtype),
     .help = "number format to write"},
    {.flag = "--merge",
     .type = OPTION_BOOL,
     .initial = "false",
     .offset = offsetof(export_flags, merge),
     .help =
         "add an adapter to its base and write whole weights; without it the adapter is written alone, in "
         "PEFT's layout"},
};

static esp_status export_into(const char *from, bool adapter, const char *folder, dtype type,
                              esp_error *error) {
    tokenizer *t;
    bool known;
    ESP_TRY(store_check_model(from, &known, error));
    ESP_TRY(adapter_tokenizer_open(&t, from, error));
    esp_status status = tokenizer_save(t, folder, error);
    tokenizer_close(t);
    if (status == ESP_OK)
        status = adapter ? model_convert_adapter(from, folder, type, error)
                         : model_convert(from, folder, type, error);
    return status == ESP_OK ? stop_check(error) : status;
}

static esp_status export_run(const cli_arguments *arguments, void *own, esp_error *error) {
    const export_flags *flags = own;
    const char *run = arguments->positionals[0], *folder = arguments->positionals[1];
    char *from = NULL;
    out_folder out;
    ESP_TRY(run_policy_path(run, flags->checkpoint, &from, error));
    bool adapter = adapter_is_at(from) && !flags->merge;
    stop_install();
    esp_status status = out_folder_begin(&out, folder, error);
    if (status == ESP_OK) {
        status = export_into(from, adapter, out.aside, flags->dtype ? DTYPE_BF16 : DTYPE_F32, error);
        if (status == ESP_OK)
            status = out_folder_end(&out, error);
        else
            out_folder_abort(&out);
    }
    if (status == ESP_OK && arguments->json)
        status =
            output_json(json_pack("{ss ss ss}", "run", run, "checkpoint", from, "folder", folder), 17, error);
    else if (status == ESP_OK) {
        char *text = mem_printf("%s: %s in %s layout\n", folder, from, adapter ? "PEFT's" : "Hugging Face");
        status = output_text(text, strlen(text), error);
        mem_free(text);
    }
    mem_free(from);
    return status;
}

const app_verb verb_export = {
    .cli = {.name = "export",
            .summary = "a run's policy as a Hugging Face folder",
            .positionals = "RUN DIR",
            .least = 2,
            .most = 2,
            .options = {export_options, sizeof export_options / sizeof *export_options},
            .about = "The folder loads in transformers (AutoModelForCausalLM.from_pretrained)."},
    .own_size = sizeof(export_flags),
    .run = export_run,
};
