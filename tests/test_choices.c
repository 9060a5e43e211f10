/* Choices by timing: kept, looked up, saved, loaded, refused. */
#define _XOPEN_SOURCE 700 /* mkdtemp, lstat */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "evrisim/evrisim.h"
#include "support/hooks.h"
#include "support/suite.h"

static char folder[] = "/tmp/evrisim-choices-XXXXXX";
static char path[64];

static void make_folder(void) {
  ck_assert_ptr_nonnull(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/choices", folder);
}

static void remove_folder(void) {
  remove(path);
  ck_assert_int_eq(rmdir(folder), 0); /* nothing else is left beside the file */
}

static evr_conv2d_desc small_conv2d(void) {
  evr_conv2d_desc desc = EVR_CONV2D_DESC_INIT;
  desc.in_channels = 8;
  desc.in_height = desc.in_width = 9;
  desc.out_channels = 8;
  desc.kernel_height = desc.kernel_width = 3;
  return desc;
}

/* The variant of a plan made with these options, copied to name. */
static void chosen_variant(const evr_plan_options *options, char *name, size_t size) {
  const evr_conv2d_desc desc = small_conv2d();
  evr_conv2d_plan *plan;
  ck_assert_msg(evr_conv2d_plan_create(&desc, options, &plan) == EVR_OK, "%s", evr_last_error());
  snprintf(name, size, "%s", evr_conv2d_plan_variant(plan));
  evr_conv2d_plan_destroy(plan);
}

static void write_text(const char *text) {
  FILE *file = fopen(path, "w");
  ck_assert_ptr_nonnull(file);
  fputs(text, file);
  ck_assert_int_eq(fclose(file), 0);
}

/* Reads the file of choices; its only choice is then replaced by name and written back. */
static void rename_only_choice(const char *name) {
  char text[2048];
  FILE *file = fopen(path, "r");
  ck_assert_ptr_nonnull(file);
  const size_t length = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[length] = '\0';
  char *tab = strchr(text, '\t');
  ck_assert_ptr_nonnull(tab);
  ck_assert_ptr_null(strchr(tab + 1, '\t'));
  snprintf(tab + 1, sizeof text - (size_t)(tab + 1 - text), "%s\n", name);
  write_text(text);
}

START_TEST(measuring_adds_a_choice_once) {
  evr_choices *choices;
  ck_assert_int_eq(evr_choices_create(NULL, &choices), EVR_OK);
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.effort = EVR_MEASURE;
  options.choices = choices;
  char first[64], again[64];
  chosen_variant(&options, first, sizeof first);
  ck_assert_uint_eq(evr_choices_count(choices), 1);
  chosen_variant(&options, again, sizeof again);
  ck_assert_str_eq(first, again);
  ck_assert_uint_eq(evr_choices_count(choices), 1);
  options.num_threads = 1;
  options.math = EVR_MATH_EXACT; /* another promise, another choice */
  chosen_variant(&options, again, sizeof again);
  ck_assert_uint_eq(evr_choices_count(choices), 2);
  evr_choices_destroy(choices);
}
END_TEST

/* Saves what is measured for the small convolution as the reference, and loads it: by estimates the
 * reference is never the fastest, so only the file can make a plan take it. */
static evr_choices *choices_of_the_reference(evr_plan_options *options) {
  evr_choices *choices;
  ck_assert_int_eq(evr_choices_create(NULL, &choices), EVR_OK);
  options->effort = EVR_MEASURE;
  options->choices = choices;
  char name[64];
  chosen_variant(options, name, sizeof name);
  ck_assert_int_eq(evr_choices_save(choices, path), EVR_OK);
  evr_choices_destroy(choices);
  rename_only_choice("reference");
  ck_assert_int_eq(evr_choices_create(NULL, &choices), EVR_OK);
  ck_assert_int_eq(evr_choices_load(choices, path), EVR_OK);
  ck_assert_uint_eq(evr_choices_count(choices), 1);
  options->choices = choices;
  return choices;
}

START_TEST(a_saved_choice_is_used_on_the_next_start) {
  make_folder();
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  evr_choices *choices = choices_of_the_reference(&options);
  char name[64];
  for (int effort = EVR_ESTIMATE; effort <= EVR_MEASURE; effort++) {
    options.effort = (evr_effort)effort;
    chosen_variant(&options, name, sizeof name);
    ck_assert_str_eq(name, "reference");
  }
  const evr_conv2d_desc desc = small_conv2d();
  evr_variant_report reports[32];
  size_t count;
  ck_assert_int_eq(evr_conv2d_list_variants(&desc, &options, reports, 32, &count), EVR_OK);
  ck_assert_str_eq(reports[count - 1].name, "reference");
  ck_assert(reports[count - 1].chosen);
  options.variant = "im2col-gemm"; /* what is forced comes before what was measured */
  chosen_variant(&options, name, sizeof name);
  ck_assert_int_eq(strncmp(name, "im2col-gemm", strlen("im2col-gemm")), 0);
  evr_choices_destroy(choices);
  remove_folder();
}
END_TEST

/* Its bands are not prepared, and not all of the output is written: what is quickest for the
 * convolution alone need not be for this. */
START_TEST(a_pooled_layer_has_a_choice_of_its_own) {
  make_folder();
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  evr_choices *choices = choices_of_the_reference(&options);
  evr_conv2d_desc desc = small_conv2d();
  desc.pool.kind = EVR_POOL_MAX;
  desc.pool.kernel_height = desc.pool.kernel_width = 2;
  desc.pool.stride_height = desc.pool.stride_width = 2;
  evr_conv2d_plan *plan;
  ck_assert_msg(evr_conv2d_plan_create(&desc, &options, &plan) == EVR_OK, "%s", evr_last_error());
  evr_conv2d_plan_destroy(plan);
  ck_assert_uint_eq(evr_choices_count(choices), 2);
  evr_choices_destroy(choices);
  remove_folder();
}
END_TEST

START_TEST(a_choice_that_means_nothing_here_is_kept_and_not_used) {
  make_folder();
  evr_choices *choices;
  ck_assert_int_eq(evr_choices_create(NULL, &choices), EVR_OK);
  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  char estimate[64], name[64];
  chosen_variant(&options, estimate, sizeof estimate);
  options.effort = EVR_MEASURE;
  options.choices = choices;
  chosen_variant(&options, name, sizeof name);
  ck_assert_int_eq(evr_choices_save(choices, path), EVR_OK);
  evr_choices_destroy(choices);
  rename_only_choice("direct-abacus");
  ck_assert_int_eq(evr_choices_create(NULL, &choices), EVR_OK);
  ck_assert_int_eq(evr_choices_load(choices, path), EVR_OK);
  options.effort = EVR_ESTIMATE;
  options.choices = choices;
  chosen_variant(&options, name, sizeof name);
  ck_assert_str_eq(name, estimate);
  ck_assert_uint_eq(evr_choices_count(choices), 1);
  evr_choices_destroy(choices);
  remove_folder();
}
END_TEST

START_TEST(many_choices_stay_sorted_and_replace_each_other) {
  make_folder();
  FILE *file = fopen(path, "w");
  ck_assert_ptr_nonnull(file);
  fputs("evrisim choices 1\n", file);
  for (int i = 0; i < 100; i++) fprintf(file, "key %02d\tname %d\n", i * 37 % 100, i);
  fputs("key 05\treplaced\n", file);
  fclose(file);
  evr_choices *choices;
  ck_assert_int_eq(evr_choices_create(NULL, &choices), EVR_OK);
  ck_assert_int_eq(evr_choices_load(choices, path), EVR_OK);
  ck_assert_uint_eq(evr_choices_count(choices), 100);
  ck_assert_int_eq(evr_choices_load(choices, path), EVR_OK);
  ck_assert_uint_eq(evr_choices_count(choices), 100);
  ck_assert_int_eq(evr_choices_save(choices, path), EVR_OK);
  evr_choices_destroy(choices);
  file = fopen(path, "r");
  char line[128], before[128] = "";
  ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
  int lines = 0;
  bool replaced = false;
  for (; fgets(line, sizeof line, file) != NULL; lines++) {
    ck_assert_int_lt(strcmp(before, line), 0);
    snprintf(before, sizeof before, "%s", line);
    replaced = replaced || strcmp(line, "key 05\treplaced\n") == 0;
  }
  fclose(file);
  ck_assert_int_eq(lines, 100);
  ck_assert(replaced);
  remove_folder();
}
END_TEST

static const struct {
  const char *text;
  const char *sentence;
} bad_files[] = {
    {"", "line 1"},
    {"evrisim choices 2\n", "line 1"},
    {"evrisim choices 1", "line 1"},
    {"evrisim choices 1\nno tab here\n", "line 2"},
    {"evrisim choices 1\nkey\tname\n\tname\n", "line 3"},
    {"evrisim choices 1\nkey\t\n", "line 2"},
    {"evrisim choices 1\nkey\tname\nkey\tcut off", "line 3"},
    {"evrisim choices 1\nkey\ta name that is longer than any name of a variant can ever be, for it "
     "goes on\n",
     "line 2"},
};

START_TEST(a_bad_file_changes_nothing) {
  make_folder();
  evr_choices *choices;
  ck_assert_int_eq(evr_choices_create(NULL, &choices), EVR_OK);
  write_text("evrisim choices 1\nmine\tname\n");
  ck_assert_int_eq(evr_choices_load(choices, path), EVR_OK);
  write_text(bad_files[_i].text);
  ck_assert_int_eq(evr_choices_load(choices, path), EVR_FILE_ERROR);
  ck_assert_msg(strstr(evr_last_error(), bad_files[_i].sentence) != NULL, "%s", evr_last_error());
  ck_assert_ptr_nonnull(strstr(evr_last_error(), path));
  ck_assert_uint_eq(evr_choices_count(choices), 1);
  evr_choices_destroy(choices);
  remove_folder();
}
END_TEST

/* A link stays one, a mode is kept, and devices and folders are left alone. */
START_TEST(what_has_the_path_is_respected) {
  make_folder();
  char link[80];
  snprintf(link, sizeof link, "%s/link", folder);
  evr_choices *choices;
  ck_assert_int_eq(evr_choices_create(NULL, &choices), EVR_OK);
  write_text("evrisim choices 1\nmine\tname\n");
  ck_assert_int_eq(evr_choices_load(choices, path), EVR_OK);
  write_text("to be replaced");
  ck_assert_int_eq(chmod(path, 0640), 0);
  ck_assert_int_eq(symlink("choices", link), 0);
  ck_assert_msg(evr_choices_save(choices, link) == EVR_OK, "%s", evr_last_error());
  struct stat found;
  ck_assert_int_eq(lstat(link, &found), 0);
  ck_assert(S_ISLNK(found.st_mode));
  ck_assert_int_eq(stat(path, &found), 0);
  ck_assert_int_eq(found.st_mode & 07777, 0640);
  ck_assert_int_eq(evr_choices_load(choices, path), EVR_OK);
  remove(path); /* now the link leads nowhere */
  ck_assert_int_eq(evr_choices_save(choices, link), EVR_FILE_ERROR);
  ck_assert_ptr_nonnull(strstr(evr_last_error(), "it is not a regular file"));
  remove(link);
  ck_assert_int_eq(mkfifo(link, 0600), 0);
  ck_assert_int_eq(evr_choices_save(choices, link), EVR_FILE_ERROR);
  ck_assert_ptr_nonnull(strstr(evr_last_error(), "it is not a regular file"));
  ck_assert_int_eq(lstat(link, &found), 0);
  ck_assert(S_ISFIFO(found.st_mode));
  remove(link);
  evr_choices_destroy(choices);
  remove_folder();
}
END_TEST

START_TEST(bad_calls_are_refused) {
  evr_choices *choices;
  ck_assert_int_eq(evr_choices_create(NULL, NULL), EVR_INVALID_ARGUMENT);
  ck_assert_str_eq(evr_last_error(), "choices is NULL");
  evr_allocator half = tallying_allocator(&(tally){0});
  half.release = NULL;
  ck_assert_int_eq(evr_choices_create(&half, &choices), EVR_INVALID_ARGUMENT);
  ck_assert_ptr_nonnull(strstr(evr_last_error(), "allocator.release is NULL"));
  ck_assert_ptr_null(strstr(evr_last_error(), "options"));
  ck_assert_ptr_null(choices);
  ck_assert_uint_eq(evr_choices_count(NULL), 0);
  evr_choices_destroy(NULL);
  ck_assert_int_eq(evr_choices_create(NULL, &choices), EVR_OK);
  ck_assert_int_eq(evr_choices_load(NULL, "x"), EVR_INVALID_ARGUMENT);
  ck_assert_int_eq(evr_choices_load(choices, NULL), EVR_INVALID_ARGUMENT);
  ck_assert_str_eq(evr_last_error(), "path is NULL");
  ck_assert_int_eq(evr_choices_save(NULL, "x"), EVR_INVALID_ARGUMENT);
  ck_assert_int_eq(evr_choices_save(choices, NULL), EVR_INVALID_ARGUMENT);
  ck_assert_int_eq(evr_choices_load(choices, "/nowhere/at/all"), EVR_FILE_ERROR);
  ck_assert_ptr_nonnull(strstr(evr_last_error(), "/nowhere/at/all"));
  ck_assert_int_eq(evr_choices_save(choices, "/nowhere/at/all"), EVR_FILE_ERROR);
  ck_assert_ptr_nonnull(strstr(evr_last_error(), "/nowhere/at/all"));
  ck_assert_int_eq(evr_choices_load(choices, "/"), EVR_FILE_ERROR);
  ck_assert_str_eq(evr_last_error(), "/ could not be read: Is a directory");
  evr_choices_destroy(choices);

  evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
  options.effort = (evr_effort)2;
  const evr_conv2d_desc desc = small_conv2d();
  evr_conv2d_plan *plan;
  ck_assert_int_eq(evr_conv2d_plan_create(&desc, &options, &plan), EVR_INVALID_ARGUMENT);
  ck_assert_str_eq(evr_last_error(), "options.effort is 2, which is no evr_effort");
}
END_TEST

/* Creates a set, measures two plans with it, loads and saves. */
static evr_status everything(evr_plan_options *options) {
  evr_choices *choices;
  evr_status status = evr_choices_create(&options->allocator, &choices);
  if (status != EVR_OK) return status;
  options->choices = choices;
  const evr_conv2d_desc conv = small_conv2d();
  evr_conv2d_plan *conv_plan = NULL;
  evr_dense_desc dense = EVR_DENSE_DESC_INIT;
  dense.batch = 2;
  dense.in_features = dense.out_features = 20;
  evr_dense_plan *dense_plan = NULL;
  status = evr_conv2d_plan_create(&conv, options, &conv_plan);
  if (status == EVR_OK) status = evr_dense_plan_create(&dense, options, &dense_plan);
  if (status == EVR_OK) status = evr_choices_save(choices, path);
  if (status == EVR_OK) status = evr_choices_load(choices, path);
  evr_conv2d_plan_destroy(conv_plan);
  evr_dense_plan_destroy(dense_plan);
  evr_choices_destroy(choices);
  return status;
}

START_TEST(memory_that_runs_out_is_reported_and_nothing_leaks) {
  make_folder();
  evr_status status = EVR_OUT_OF_MEMORY;
  int64_t fail_at = 1;
  for (; status != EVR_OK; fail_at++) {
    tally count = {.fail_at = fail_at};
    evr_plan_options options = EVR_PLAN_OPTIONS_INIT;
    options.num_threads = 1;
    options.effort = EVR_MEASURE;
    options.allocator = tallying_allocator(&count);
    status = everything(&options);
    if (status != EVR_OK) ck_assert_int_eq(status, EVR_OUT_OF_MEMORY);
    ck_assert_int_eq(count.alive, 0);
    ck_assert(!count.foreign);
    ck_assert_int_lt(fail_at, 10000);
  }
  ck_assert_int_gt(fail_at, 10);
  remove_folder();
}
END_TEST

int main(void) {
  suite_begin("choices");
  Suite *suite = suite_create("choices");
  TCase *measured = suite_case(suite, "measured choices");
  tcase_add_test(measured, measuring_adds_a_choice_once);
  tcase_add_test(measured, a_saved_choice_is_used_on_the_next_start);
  tcase_add_test(measured, a_pooled_layer_has_a_choice_of_its_own);
  tcase_add_test(measured, a_choice_that_means_nothing_here_is_kept_and_not_used);
  tcase_add_test(measured, many_choices_stay_sorted_and_replace_each_other);
  tcase_add_loop_test(measured, a_bad_file_changes_nothing, 0,
                      sizeof bad_files / sizeof bad_files[0]);
  tcase_add_test(measured, what_has_the_path_is_respected);
  tcase_add_test(measured, bad_calls_are_refused);
  tcase_add_test(measured, memory_that_runs_out_is_reported_and_nothing_leaks);
  return suite_end(suite);
}
