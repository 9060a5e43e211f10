#!/usr/bin/env python3
"""Runs evrisim-bench as a user would: what it refuses and how it says so, and that what it writes
holds together. test_command_line.py PROGRAM [FAULT]; FAULT is test_fault.c as a shared library."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

FAULT = sys.argv.pop() if len(sys.argv) > 2 else None
PROGRAM = sys.argv.pop()
BROWSER = shutil.which('chromium')
QUICK = ['--rounds', '1', '--round-ms', '0.05', '--no-peaks']
CONV = ('name,batch,groups,in_c,in_h,in_w,out_c,k_h,k_w,stride_h,stride_w,dil_h,dil_w,'
        'pad_t,pad_b,pad_l,pad_r,repeat')
GOOD = 'a,1,1,3,9,8,5,3,3,1,1,1,1,1,1,1,1,1'
POOL = ('name,batch,channels,in_h,in_w,kind,k_h,k_w,stride_h,stride_w,dil_h,dil_w,'
        'pad_t,pad_b,pad_l,pad_r,ceil_mode,count_include_pad,global,repeat')
HARD = '\n'.join([
    CONV,
    'grouped,2,2,6,9,8,10,3,2,2,1,1,1,1,0,0,1,1',
    'dilated,1,1,3,13,12,7,3,3,1,1,2,3,2,2,3,3,2',
    'multiplier,1,4,4,9,9,8,3,3,1,2,1,1,1,1,1,1,1',
    'one_by_one_strided,3,1,5,7,7,4,1,1,2,2,1,1,0,0,0,0,1',
    'one_by_one_grouped,1,3,9,5,5,6,1,1,1,1,1,1,0,0,0,0,1',
    'asymmetric,1,1,4,8,8,4,3,3,2,2,1,1,0,1,0,1,1']) + '\n'


def run(*arguments, **environment):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False,
                          env={**os.environ, **environment})


class Refusals(unittest.TestCase):
    def refused(self, *arguments, holds):
        result = run(*arguments)
        self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
        self.assertEqual(result.stderr.count('\n'), 1, result.stderr)
        for text in holds:
            self.assertIn(text, result.stderr)

    def suite(self, *lines, holds):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / 'mine.csv'
            path.write_text('\n'.join(lines) + '\n', encoding='utf-8')
            self.refused('--suite', str(path), holds=[str(path), *holds])

    def test_unknown_suite(self):
        self.refused('--suite', 'resnet51', holds=['"resnet51"', 'resnet50'])

    def test_missing_file(self):
        self.refused('--suite', './nowhere.csv', holds=['./nowhere.csv'])

    def test_no_suite_at_all(self):
        self.suite('a,b', '1,2', holds=['line 1', 'out_c'])

    def test_missing_column(self):
        self.suite(CONV.replace(',pad_l', ''), holds=['line 1', 'field pad_l'])

    def test_unknown_column(self):
        self.suite(CONV + ',colour', GOOD + ',red', holds=['line 1', 'field colour'])

    def test_column_twice(self):
        self.suite(CONV + ',in_c', GOOD + ',3', holds=['line 1', 'field in_c', 'twice'])

    def test_too_few_fields(self):
        self.suite(CONV, GOOD, 'b,1,1,3', holds=['line 3', 'field in_h'])

    def test_too_many_fields(self):
        self.suite(CONV, GOOD + ',77', holds=['line 2', '"77"'])

    def test_no_number(self):
        self.suite(CONV, GOOD.replace(',9,', ',nine,'), holds=['line 2', 'field in_h', '"nine"'])

    def test_half_a_number(self):
        self.suite(CONV, GOOD.replace(',9,', ',9x,'), holds=['line 2', 'field in_h', '"9x"'])

    def test_empty_field(self):
        self.suite(CONV, GOOD.replace(',9,', ',,'), holds=['line 2', 'field in_h', 'empty'])

    def test_too_large(self):
        self.suite(CONV, GOOD.replace(',9,', ',99999999999999999999,'),
                   holds=['line 2', 'field in_h', 'too large'])

    def test_too_small(self):
        self.suite(CONV, GOOD.replace(',9,', ',0,'), holds=['line 2', 'field in_h', 'below 1'])

    def test_layer_that_cannot_be(self):
        self.suite(CONV, GOOD.replace('a,1,1,', 'a,1,2,'), holds=['line 2', 'groups'])

    def test_name_twice(self):
        self.suite(CONV, GOOD, GOOD, holds=['line 3', 'field name', '"a"'])

    def test_no_layers(self):
        self.suite(CONV, holds=['no layers'])

    def test_pool_kind(self):
        self.suite(POOL, 'p,1,3,8,8,median,2,2,2,2,1,1,0,0,0,0,0,0,0,1',
                   holds=['line 2', 'field kind', '"median"', 'average'])

    def test_fused_pool(self):
        self.suite(CONV + ',pool,pool_k,pool_stride', GOOD + ',max,2,2',
                   holds=['line 1', 'field pool_pad', 'missing'])
        self.suite(CONV + ',pool,pool_k,pool_stride,pool_pad', GOOD + ',max,90,2,0',
                   holds=['line 2', 'desc.pool.kernel_height'])

    def test_pool_flag(self):
        self.suite(POOL, 'p,1,3,8,8,max,2,2,2,2,1,1,0,0,0,0,yes,0,0,1',
                   holds=['line 2', 'field ceil_mode', '"yes"'])

    def test_activation_name(self):
        self.suite('name,activation,alpha,count,repeat', 'a,cube,0,5,1',
                   holds=['line 2', 'field activation', '"cube"', 'gelu'])

    def test_number_out_of_range(self):
        for value, reason in ('1e99', "out of a float32's range"), ('1e', 'not a number'):
            self.suite('name,activation,alpha,count,repeat', f'a,elu,{value},5,1',
                       holds=['line 2', 'field alpha', f'"{value}"', reason])

    def test_not_utf8(self):
        # Latin-1, a byte too few, a byte that begins nothing, too long a form, a surrogate, and a
        # code that there is not.
        for name in (b'caf\xe9', b'\xe2\x82', b'\x80', b'\xff', b'\xc0\xaf', b'\xed\xa0\x80',
                     b'\xf4\x90\x80\x80'):
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / 'mine.csv'
                path.write_bytes(f'{CONV}\n{GOOD}\n'.encode() + name + GOOD[1:].encode() + b'\n')
                self.refused('--suite', str(path), holds=[f'{path}, line 3: it is not UTF-8'])

    def test_filter(self):
        self.refused('--filter', '(', holds=['--filter'])
        self.refused('--filter', 'no layer is called this', holds=['short', '--filter'])

    def test_variant_of_variants(self):
        self.refused('--variant', 'direct', holds=['--compare peers'])

    def test_variant_that_is_none(self):
        self.refused('--compare', 'peers', '--variant', 'nope', holds=['--variant', '"nope"'])

    def test_unwritable(self):
        self.refused('--json', '/nowhere/at/all.json', holds=['/nowhere/at/all.json'])

    @unittest.skipUnless(pathlib.Path('/dev/full').exists(), 'there is no /dev/full')
    def test_full_output(self):
        with open('/dev/full', 'w', encoding='utf-8') as full:
            result = subprocess.run([PROGRAM, '--filter', 'lenet5_c1', '--rounds', '1', '--no-peaks'],
                                    stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertIn('standard output', result.stderr)

    def test_options(self):
        for arguments in (['--layout', 'chwn'], ['--threads', '0'], ['--math', 'sloppy'],
                          ['--max-isa', 'avx3'], ['--compare', 'friends'], ['--nonsense'],
                          ['--random', '0'], ['--random', 'many'], ['--direction', 'back']):
            self.refused(*arguments, holds=[])
        for option, value, reason in (
                ('--round-ms', 'nan', 'no number from 0.01 to 60000'),
                ('--round-ms', 'inf', 'no number from 0.01'),
                ('--seed', '-1', 'no whole number from 0 to 18446744073709551615'),
                ('--seed', '99999999999999999999', 'no whole number from 0'),
                ('--rounds', '7.5', 'no whole number from 1 to 1000')):
            self.refused(option, value, holds=[option, f'"{value}"', reason])

    def test_direction_that_a_suite_lacks(self):
        for suite in 'pooling', 'activations', 'softmax', 'padding':
            self.refused('--suite', suite, '--direction', 'backward-weights',
                         holds=['--direction backward-weights', f'suite {suite}', 'no weights'])
        for direction in 'backward-data', 'backward-weights':
            # The first suite could be run, but nothing is measured before all are known to do.
            self.refused('--suite', 'short', '--suite', 'fused', '--direction', direction,
                         holds=[f'--direction {direction}', 'suite fused', 'vgg16_conv1_2'])

    def test_variant_of_another_direction(self):
        self.refused('--compare', 'peers', '--direction', 'backward-weights', '--variant',
                     'few-outputs', holds=['--variant', '"few-outputs"', 'backward-weights, but of '
                                           'forward, backward-data'])


class Runs(unittest.TestCase):
    def results(self, *arguments, shows=(), draws=()):
        """The JSON of a run that goes well, prints all that shows holds, and whose page, where
        there is a browser, holds what draws does."""
        with tempfile.TemporaryDirectory() as folder:
            data, page = pathlib.Path(folder) / 'r.json', pathlib.Path(folder) / 'r.html'
            result = run(*arguments, *QUICK, '--json', str(data), '--html', str(page))
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            for part in shows:
                self.assertIn(part, result.stdout)
            for line in result.stdout.splitlines():
                if folder not in line:
                    self.assertLessEqual(len(line), 80, line)
            text = page.read_text(encoding='utf-8')
            self.assertEqual(text.count('</script>'), 2)
            self.assertNotIn('EVRISIM_BENCH_RESULTS', text)
            self.assertNotRegex(text, 'src=|href=|@import|url\\(')
            if draws and BROWSER:
                drawn = subprocess.run([BROWSER, '--headless', '--no-sandbox', '--disable-gpu',
                                        f'--user-data-dir={folder}/browser', '--dump-dom',
                                        page.as_uri()], capture_output=True, text=True, check=True,
                                       timeout=60)
                seen = drawn.stdout.split('<script', 1)[0]
                for part in draws:
                    self.assertTrue(part in seen, f'the page lacks "{part}"')
            return json.loads(data.read_text(encoding='utf-8'))

    def check_layers(self, results, least):
        for suite in results['suites']:
            self.assertTrue(suite['all_results_right'])
            for layer in suite['layers']:
                timed = [c for c in layer['contenders'] if 'median_ns' in c]
                self.assertGreaterEqual(len(timed), least)
                self.assertEqual(len([c for c in timed if c['chosen']]), 1, layer['name'])
                for c in timed:
                    self.assertGreater(c['median_ns'], 0)
                    if c['role'] != 'yardstick':
                        self.assertIn(c['check']['outcome'], ('identical', 'within tolerance'))
                names = [c['name'] for c in timed]
                self.assertEqual(len(names), len(set(names)))

    def test_variants(self):
        for layout in 'nhwc', 'nchw':
            results = self.results('--filter', 'lenet|depth', '--layout', layout,
                                   '--math', 'exact')
            self.check_layers(results, least=2)
            for layer in results['suites'][0]['layers']:
                for c in layer['contenders']:
                    self.assertEqual(c['check']['outcome'], 'identical', c['name'])

    def test_peers(self):
        for layout in 'nhwc', 'nchw':
            for epilogue in 'none', 'bias', 'bias-relu':
                self.check_layers(
                    self.results('--compare', 'peers', '--filter', 'lenet|depth', '--layout',
                                 layout, '--epilogue', epilogue), least=1)

    def test_peers_on_hard_shapes(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / 'hard.csv'
            path.write_text(HARD, encoding='utf-8')
            for layout, threads in ('nhwc', '1'), ('nchw', '1'), ('nhwc', '2'):
                self.check_layers(
                    self.results('--suite', str(path), '--compare', 'peers', '--layout',
                                 layout, '--threads', threads), least=1)

    def test_fused_pooling(self):
        for layout, threads in ('nhwc', '1'), ('nchw', '2'):
            results = self.results('--suite', 'fused', '--compare', 'peers', '--math', 'exact',
                                   '--filter', 'lenet|cifar', '--layout', layout,
                                   '--threads', threads)
            self.check_layers(results, least=2)
            for layer in results['suites'][0]['layers']:
                names = [c['name'] for c in layer['contenders'] if 'median_ns' in c]
                self.assertIn('unfused', names)
                self.assertEqual(layer['descriptor']['pool']['kind'], 'average')

    def test_pooling_and_activations(self):
        for layout in 'nhwc', 'nchw':
            self.check_layers(self.results('--suite', 'pooling', '--compare', 'peers', '--filter',
                                           'lenet|mnist|inception|avg_5x5|min|global',
                                           '--layout', layout), least=2)
        self.check_layers(self.results('--suite', 'activations', '--compare', 'peers',
                                       '--filter', '64x56x56|small'), least=2)
        self.check_layers(self.results('--suite', 'activations', '--math', 'exact',
                                       '--filter', 'small'), least=2)

    def check_backward(self, results, direction):
        self.assertEqual(results['settings']['direction'], direction)
        names = [peer['name'] for peer in results['peers']]
        for peer in 'XNNPACK', 'OpenBLAS':
            self.assertNotIn(peer, names)
            self.assertIn(peer, [skip['name'] for skip in results['peers_skipped']])
        for suite in results['suites']:
            for layer in suite['layers']:
                timed = [c['name'] for c in layer['contenders'] if 'median_ns' in c]
                skipped = {skip['name']: skip['reason'] for skip in layer['skipped']}
                if 'oneDNN' in names and 'oneDNN' not in timed:
                    # A reason of ours: oneDNN's own tell of parameters that do not fit together.
                    self.assertRegex(skipped['oneDNN'], '^it has no')
                self.assertNotEqual(layer.get('best_peer'), 'oneDNN-reorder')

    def test_backward_peers(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / 'hard.csv'
            path.write_text(HARD, encoding='utf-8')
            for direction in 'backward-data', 'backward-weights':
                for options in ('', '--layout nchw --epilogue none', '--epilogue bias-relu',
                                '--layout nchw --threads 2 --epilogue bias-relu'):
                    results = self.results(
                        '--suite', str(path), '--suite', 'short', '--filter', '^[^e]',
                        '--compare', 'peers', '--math', 'exact', '--direction', direction,
                        *options.split(), shows=[direction])
                    self.check_layers(results, least=1)
                    self.check_backward(results, direction)

    def test_backward_variants(self):
        for direction in 'backward-data', 'backward-weights':
            for layout in 'nhwc', 'nchw':
                results = self.results('--filter', 'lenet|depth', '--layout', layout, '--math',
                                       'exact', '--direction', direction, '--epilogue', 'bias-relu',
                                       draws=[direction])
                self.check_layers(results, least=2)
                for layer in results['suites'][0]['layers']:
                    for c in layer['contenders']:
                        self.assertEqual(c['check']['outcome'], 'identical', c['name'])

    def test_backward_without_weights(self):
        for suite, names in {'pooling': 'lenet|mnist|inception|avg_5x5|min|global|googlenet',
                             'activations': '64x56x56|small', 'softmax': 'digits|voc',
                             'padding': 'lenet|_14|s2|reflect'}.items():
            for layout in 'nhwc', 'nchw':
                options = ['--suite', suite, '--filter', names, '--layout', layout, '--direction',
                           'backward-data']
                results = self.results('--compare', 'peers', *options)
                self.check_layers(results, least=2)
                self.check_backward(results, 'backward-data')
                for layer in results['suites'][0]['layers'] if suite == 'pooling' else []:
                    timed = [c['name'] for c in layer['contenders'] if 'median_ns' in c]
                    self.assertEqual('from-x' in timed, layer['descriptor']['kind'] != 'average')
                self.check_layers(self.results('--math', 'exact', *options), least=2)

    def test_backward_data_packs_once_and_each_time(self):
        results = self.results('--suite', 'short', '--compare', 'peers', '--math', 'exact',
                               '--direction', 'backward-data')
        for layer in results['suites'][0]['layers']:
            timed = [c['name'] for c in layer['contenders'] if 'median_ns' in c]
            self.assertIn('plain', timed)
            self.assertNotEqual(layer.get('best_peer'), 'plain')

    def test_backward_dense(self):
        for direction in 'backward-data', 'backward-weights':
            for suite, names in ('dense', 'lenet|mnist'), ('dense_batch', 'mnist'):
                for options in '', '--layout nchw --epilogue bias-relu --threads 2':
                    results = self.results('--suite', suite, '--filter', names, '--compare',
                                           'peers', '--direction', direction, *options.split())
                    self.check_layers(results, least=1)
                    self.check_backward(results, direction)

    def test_backward_of_long_sums(self):
        # A peer may add up a million terms one after the other, and is not wrong for that.
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / 'long.csv'
            path.write_text(f'{CONV}\nlong,4,1,3,512,512,16,3,3,1,1,1,1,1,1,1,1,1\n',
                            encoding='utf-8')
            results = self.results('--suite', str(path), '--compare', 'peers', '--direction',
                                   'backward-weights')
            self.check_layers(results, least=1)
            for c in results['suites'][0]['layers'][0]['contenders']:
                check = c['check']
                tolerance = check.get('times_the_tolerance', 1) * 1e-5
                self.assertLessEqual(tolerance, 1e-5 if c['role'] == 'ours' else 7e-5)
                self.assertLessEqual(check['relative_error'], tolerance)

    def test_backward_of_random_shapes(self):
        for direction in 'backward-data', 'backward-weights':
            results = self.results('--random', '60', '--seed', '7', '--filter',
                                   '^[0-9]{1,2}x[0-9]{1,2}x[0-9]{1,2}_', '--compare', 'peers',
                                   '--direction', direction,
                                   draws=['How the choice does', direction])
            self.check_layers(results, least=1)
            self.check_backward(results, direction)

    def check_choice(self, suite, other):
        """That the suite's summary of the choice says what its layers do."""
        choice = suite['summary']['choice']
        ratios = {}
        for layer in suite['layers']:
            timed = [c for c in layer['contenders'] if 'reported_ns' in c]
            times = [c['reported_ns'] for c in timed if c['role'] in other]
            ours = [c['reported_ns'] for c in timed if c['chosen']]
            ratios[layer['name']] = min(times) / ours[0]
        worst = sorted(ratios.values())[:10]
        self.assertEqual(choice['layers'], len(ratios))
        self.assertEqual(choice['within_5_percent_of_fastest_on'],
                         sum(r * 1.05 >= 1 for r in ratios.values()))
        self.assertEqual(choice['at_least_0.9_of_fastest_on'],
                         sum(r / 0.9 >= 1 for r in ratios.values()))
        self.assertEqual(len(choice['worst']), len(worst))
        for entry, ratio in zip(choice['worst'], worst):
            self.assertAlmostEqual(entry['ours_is_faster_by'], ratio, places=9)
            self.assertAlmostEqual(ratios[entry['layer']], ratio, places=9)
        return choice

    def test_random_variants(self):
        # Small layers of a large sample, so that it is many of them and still takes little time.
        results = self.results(
            '--random', '300', '--seed', '5', '--filter', '^[0-9]{1,2}x[0-9]{1,2}x[0-9]_',
            '--layout', 'nchw', '--math', 'exact',
            shows=['chosen', 'drawn with seed 5', 'within 5% of the fastest on', 'The worst 10 of'],
            draws=['How the choice does', 'Speed on the worst 40 layers', 'How to read this'])
        self.check_layers(results, least=2)
        suite = results['suites'][0]
        self.assertGreater(len(suite['layers']), 60)  # above which a page draws only the worst
        choice = self.check_choice(suite, other=('ours', 'variant'))
        self.assertEqual(choice['against'], 'fastest variant')
        for entry in choice['worst']:
            self.assertLessEqual(entry['ours_is_faster_by'], 1)

    def test_random_peers(self):
        results = self.results('--random', '12', '--compare', 'peers', shows=['1 GFLOP drawn again'],
                               draws=['How the choice does', 'How to read this'])
        self.check_layers(results, least=1)
        if any('best_peer' in layer for layer in results['suites'][0]['layers']):
            choice = self.check_choice(results['suites'][0], other=('peer',))
            self.assertEqual(choice['against'], 'best peer')

    def test_variant_that_is_skipped(self):
        result = run('--compare', 'peers', '--variant', 'winograd4', '--math', 'fast', '--filter',
                     'lenet5_c1', *QUICK, COLUMNS='80')
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, 'lenet5_c1 +skipped: see below')
        self.assertIn('needs\n    desc.kernel_height 3; it is 5 (all layers)', result.stdout)
        for line in result.stdout.splitlines():
            self.assertLessEqual(len(line), 80, line)

    def test_every_variant_has_a_mean(self):
        # Also one that is the choice on all layers.
        suite = self.results('--filter', 'lenet5_c1', shows=['as chosen'])['suites'][0]
        timed = {c['name'] for c in suite['layers'][0]['contenders'] if 'median_ns' in c}
        means = [o['name'] for o in suite['summary']['overall']]
        self.assertEqual(sorted(means), sorted(timed | {'evrisim'}))

    def test_worst_of_few(self):
        # The table of a few layers says it all; the data have it always.
        results = self.results('--filter', 'lenet|depth')
        self.check_choice(results['suites'][0], other=('ours', 'variant'))
        self.assertNotIn('The worst', run('--filter', 'lenet', *QUICK).stdout)

    def test_random_shapes(self):
        def shapes(*arguments):
            return run('--list', *arguments).stdout.splitlines()[1:]
        many = shapes('--random', '400', '--seed', '9')
        self.assertEqual(len(set(many)), 400)
        self.assertEqual(many[:50], shapes('--random', '50', '--seed', '9'))
        self.assertNotEqual(many[:50], shapes('--random', '50', '--seed', '10'))
        largest = [0] * 7
        for line in many:
            name, shape = line.split(None, 1)
            parts = re.fullmatch(r'(\d+)x(\d+)x(\d+)_(dw|\d+)k(\d)s(\d)p(\d)', name)
            self.assertTrue(parts, name)
            depth, height, width, out, kernel, stride, pad = parts.groups()
            out = depth if out == 'dw' else out
            rows, columns = ((int(size) + 2 * int(pad) - int(kernel)) // int(stride) + 1
                             for size in (height, width))
            self.assertTrue(shape.startswith(
                f'{depth}x{height}x{width} -> {out}x{rows}x{columns}, {kernel}x{kernel}'), line)
            flop = 2 * rows * columns * int(out) * int(kernel) ** 2 * (
                1 if 'depthwise' in shape else int(depth))
            self.assertLessEqual(flop, 1e9, line)
            values = map(int, (depth, height, width, out, kernel, stride, pad))
            largest = list(map(max, largest, values))
        for found, (least, most) in zip(largest, [(400, 512), (200, 256), (200, 256), (400, 512),
                                                  (7, 7), (2, 2), (3, 3)]):
            self.assertTrue(least <= found <= most, largest)

    def test_dense_softmax_and_padding(self):
        for layout, threads in ('nhwc', '1'), ('nchw', '2'):
            for suite, names in {'softmax': 'digits|voc', 'dense': 'lenet|mnist',
                                 'dense_batch': 'mnist', 'padding': 'lenet|_14|s2|reflect'}.items():
                for epilogue in 'none', 'bias-relu':
                    self.check_layers(self.results('--suite', suite, '--compare', 'peers',
                                                   '--filter', names, '--layout', layout,
                                                   '--threads', threads, '--epilogue', epilogue),
                                      least=1)
        for suite, counted in ('dense', 'bytes'), ('dense_batch', 'flop'):
            layer = self.results('--suite', suite, '--filter', 'mnist_output')['suites'][0]['layers'][0]
            fraction = {'bytes': 'fraction_of_copy_speed', 'flop': 'fraction_of_fma_peak'}[counted]
            self.assertEqual(layer['flop'] > 0, counted == 'flop')
            self.assertIn(fraction, next(c for c in layer['contenders'] if c['chosen']))

    def test_padding_is_checked(self):
        for layer in self.results('--suite', 'padding', '--filter', 'lenet|reflect'
                                  )['suites'][0]['layers']:
            for c in layer['contenders']:
                self.assertEqual(c['check']['outcome'],
                                 'not checked' if c['name'] == 'memcpy' else 'identical', c['name'])

    def test_peaks(self):
        with tempfile.TemporaryDirectory() as folder:
            data = pathlib.Path(folder) / 'r.json'
            result = run('--filter', 'lenet', '--rounds', '1', '--json', str(data))
            self.assertEqual(result.returncode, 0, result.stderr)
            results = json.loads(data.read_text(encoding='utf-8'))
            for peak in results['machine']['fma_peak']:
                self.assertGreater(peak['gflops'], 0)
            self.assertIn('memory', [c['level'] for c in results['machine']['copy']])
            for c in results['suites'][0]['layers'][0]['contenders']:
                self.assertGreater(c['fraction_of_fma_peak'], 0)

    @unittest.skipUnless(FAULT, 'without OpenBLAS there is nothing to break')
    def test_wrong_result_is_loud(self):
        with tempfile.TemporaryDirectory() as folder:
            data = pathlib.Path(folder) / 'r.json'
            result = run('--compare', 'peers', '--filter', 'lenet', *QUICK, '--json', str(data),
                         LD_PRELOAD=FAULT)
            self.assertEqual(result.returncode, 1, result.stderr)
            self.assertIn('MISMATCH: OpenBLAS on lenet5_c1', result.stdout)
            self.assertIn('WRONG', result.stdout)
            suite = json.loads(data.read_text(encoding='utf-8'))['suites'][0]
            self.assertFalse(suite['all_results_right'])
            wrong = [c for c in suite['layers'][0]['contenders'] if c['name'] == 'OpenBLAS'][0]
            self.assertEqual(wrong['check']['outcome'], 'MISMATCH')
            self.assertNotIn('median_ns', wrong)  # what is wrong is not timed

    def test_names_in_utf8(self):
        # The first and the last characters of each length, in a file that a byte order mark begins.
        name = 'a~\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff'
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / 'marked.csv'
            path.write_text(f'\ufeff{CONV}\n{name}{GOOD[1:]}\n', encoding='utf-8')
            suite = self.results('--suite', str(path))['suites'][0]
            self.assertEqual(suite['layers'][0]['name'], name)

    def test_command_line_that_is_not_utf8(self):
        # Neither the name of a file nor a regular expression need be.
        results = self.results('--filter', 'lenet5_c1|\udce9')  # the byte 0xe9
        self.assertIn('lenet5_c1|\ufffd', results['command'])

    def test_layer_that_is_hardly_read(self):
        # One pixel of 40000 is read, so that the layer takes far less time than a copy of them all.
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / 'sparse.csv'
            path.write_text(f'{POOL}\np,1,1,4000,4000,max,1,1,200,200,1,1,0,0,0,0,0,0,0,1\n',
                            encoding='utf-8')
            for comparison in 'variants', 'peers':
                result = run('--suite', str(path), '--layout', 'nchw', '--compare', comparison,
                             *QUICK)
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertNotRegex(result.stdout, '/s[0-9>]|[0-9]{4}%')
                if comparison == 'variants':
                    self.assertRegex(result.stdout, 'GB/s +>?[0-9]+x ')

    def test_help_fits_a_terminal(self):
        lines = run('--help').stdout.splitlines()
        self.assertGreater(len(lines), 20)
        for line in lines:
            self.assertLessEqual(len(line), 80, line)

    def test_layers_that_the_guide_filters_are_there(self):
        guide = pathlib.Path(__file__).parent.parent / 'docs' / 'benchmarking.md'
        commands = re.findall("evrisim-bench --random ([0-9]+) --filter '(.*)'",
                              guide.read_text(encoding='utf-8'))
        self.assertGreaterEqual(len(commands), 1)
        for count, name in commands:
            layers = run('--list', '--random', count).stdout.splitlines()[1:]
            self.assertTrue(any(re.search(name, layer.split()[0]) for layer in layers), name)

    def test_list(self):
        self.assertIn('resnet50', run('--list').stdout)
        self.assertIn('lenet5_c1', run('--list', '--suite', 'lessons').stdout)


if __name__ == '__main__':
    unittest.main()
