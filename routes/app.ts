/**
 * The server's routes, mounted together.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { cors } from "hono/cors";
import { requestId } from "hono/request-id";
import { folderHider, type HideFolders } from "../lib/hide_folders.ts";
import type { Metrics } from "../serving/server_metrics.ts";
import { Explainers } from "../serving/explainers.ts";
import type { Predictor } from "../serving/predictor.ts";
import {
  accessCheck,
  refuseForeignHost,
  refuseForeignOrigins,
  refuseMalformedHost,
} from "./access.ts";
import { HEADER_LENGTH } from "./binary_tensors.ts";
import { datasetRoutes } from "./datasets.ts";
import { addDocs } from "./docs.ts";
import type { Drain } from "./drain.ts";
import { answerErrors, answerNoRoute } from "./errors.ts";
import { explainRoutes } from "./explain.ts";
import { evaluationRoutes, type EvaluationRoutesOptions } from "./evaluations.ts";
import { healthRoutes, type IsReady } from "./health.ts";
import { huggingFaceRoutes } from "./hugging_face.ts";
import { infoRoutes, type Limits } from "./info.ts";
import { observeRequests } from "./log.ts";
import type { ServiceOptions } from "./service_options.ts";
import { metricsRoutes } from "./metrics.ts";
import { modelRoutes } from "./models.ts";
import { openInferenceRoutes } from "./open_inference.ts";
import { pageRoutes } from "./page.ts";
import { predictRoutes } from "./predict.ts";
import { limitConcurrency } from "./prediction_requests.ts";
import { admitBy, createRouter } from "./router.ts";
import { runRoutes, type RunRoutesOptions } from "./runs.ts";
import { sessionKey, sessionRoutes, Sessions } from "./sessions.ts";
import { DiskBudget, type StorageOptions, storageRoutes } from "./storage.ts";
import { textEmbeddingsInferenceRoutes } from "./text_embeddings_inference.ts";
import { vllmRoutes } from "./vllm.ts";

/** The most items of a list or object in a body of JSON, unless a request may have more texts. */
const MAX_ITEMS = 1000;

/** Options of {@link createApp}. */
export interface AppOptions
  extends
    Omit<RunRoutesOptions, "budget">,
    StorageOptions,
    EvaluationRoutesOptions,
    Pick<
      ServiceOptions,
      | "apiKeys"
      | "corsOrigins"
      | "datasetLimitBytes"
      | "log"
      | "loopbackOnly"
      | "page"
      | "requestsPerMinute"
    > {
  predictor: Predictor;
  metrics: Metrics;
  limits: Limits;
  isReady: IsReady;
  drain: Drain;
  /** Hides the server's folders from clients; by default only those of the program. */
  hideFolders?: HideFolders;
}

/** The whole application. */
export function createApp(options: AppOptions): OpenAPIHono {
  const { models, cache, predictor, metrics, limits, isReady, drain } = options;
  const { datasetLimitBytes = 500_000_000, hideFolders = folderHider([]) } = options;
  const { apiKeys = [], corsOrigins = [], requestsPerMinute, log = () => {} } = options;
  const sessions = new Sessions();
  const app = createRouter();
  app.use(requestId());
  app.use(observeRequests(metrics, log));
  app.use(refuseMalformedHost);
  app.use(refuseForeignOrigins(corsOrigins));
  app.use(cors({
    origin: corsOrigins.includes("*") ? "*" : [...corsOrigins],
    exposeHeaders: ["Retry-After", "X-Request-Id", HEADER_LENGTH],
  }));
  if (options.loopbackOnly === true) app.use(refuseForeignHost);
  app.use(admitBy({
    takeRequest: drain.takeRequests,
    checkAccess: accessCheck(
      apiKeys,
      requestsPerMinute,
      (context) => sessionKey(context, sessions),
    ),
    limitPredictions: limitConcurrency(limits.maxConcurrentRequests),
    payloadLimitBytes: limits.payloadLimitBytes,
    maxItems: Math.max(MAX_ITEMS, limits.maxClientBatchSize),
  }));
  app.onError(answerErrors(hideFolders));
  app.notFound(answerNoRoute(app));

  const predictOptions = { predictor, maxClientBatchSize: limits.maxClientBatchSize };
  if (options.page !== false) {
    app.route("/", pageRoutes());
    app.route("/", sessionRoutes(apiKeys, sessions));
  }
  app.route("/", healthRoutes(isReady));
  app.route("/", predictRoutes(predictOptions));
  app.route("/", explainRoutes(models, new Explainers(cache, predictor.longTexts)));
  app.route("/", textEmbeddingsInferenceRoutes(predictOptions));
  app.route("/", huggingFaceRoutes(predictOptions));
  app.route("/", vllmRoutes(predictOptions));
  app.route("/", openInferenceRoutes({ ...predictOptions, models, cache, isReady }));
  app.route("/", modelRoutes(models, cache, metrics, options.store));
  const budget = new DiskBudget(options);
  app.route("/", runRoutes({ ...options, budget }));
  app.route("/", evaluationRoutes(options));
  app.route("/", datasetRoutes({ ...options, maxBytes: datasetLimitBytes, budget }));
  app.route("/", storageRoutes(options));
  app.route("/", infoRoutes(models, cache, limits));
  app.route("/", metricsRoutes(options));
  addDocs(app);
  return app;
}
