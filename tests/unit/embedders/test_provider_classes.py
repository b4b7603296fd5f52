"""Where a provider is asked, with which key, in which space, and under which names its users give these."""

import pytest

from asyncrun import embedders
from asyncrun.embedders import (
    AzureOpenAIEmbedding,
    CohereEmbedding,
    GeminiEmbedding,
    HerokuEmbedding,
    HuggingFaceInferenceAPIEmbedding,
    IsaacusEmbedding,
    JinaEmbedding,
    MistralAIEmbedding,
    OllamaEmbedding,
    OpenAIEmbedding,
    TextEmbeddingsInference,
    VoyageEmbedding,
)
from asyncrun.embedders.providers import PROVIDERS
from asyncrun.errors import UsageError
from asyncrun.packing import BatchLimits
from asyncrun.records import InputType

KEY = "sentinel-0123456789abcdef"
OWN_KEYS = {
    "OPENAI_API_KEY": OpenAIEmbedding,
    "CO_API_KEY": CohereEmbedding,
    "COHERE_API_KEY": CohereEmbedding,
    "VOYAGE_API_KEY": VoyageEmbedding,
    "JINA_API_KEY": JinaEmbedding,
    "MISTRAL_API_KEY": MistralAIEmbedding,
    "GEMINI_API_KEY": GeminiEmbedding,
    "GOOGLE_API_KEY": GeminiEmbedding,
    "ISAACUS_API_KEY": IsaacusEmbedding,
    "EMBEDDING_KEY": HerokuEmbedding,
    "HF_TOKEN": HuggingFaceInferenceAPIEmbedding,
}


def keys_of(embedder):
    return [value for value in embedder.endpoint.headers.values() if KEY in value]


@pytest.mark.parametrize("variable", OWN_KEYS)
def test_the_vendors_variable_is_for_the_vendors_own_address_alone(variable):
    adapter = OWN_KEYS[variable]
    assert len(keys_of(adapter("m", environ={variable: KEY}))) == 1
    assert keys_of(adapter("m", base_url="http://example.com/v1", environ={variable: KEY})) == []
    assert len(keys_of(adapter("m", base_url="http://example.com/v1", api_key=KEY, environ={}))) == 1


@pytest.mark.parametrize("adapter", sorted(set(OWN_KEYS.values()), key=lambda adapter: adapter.__name__))
def test_a_key_that_is_missing_is_told_with_its_variable_before_anything_is_sent(adapter):
    embedder = adapter("m", environ={})
    with pytest.raises(UsageError, match="no key for") as caught:
        embedder.check()
    assert next(variable for variable, owner in OWN_KEYS.items() if owner is adapter) in caught.value.hint


def test_azure_has_the_address_and_the_key_of_its_variables():
    environ = {"AZURE_OPENAI_ENDPOINT": "https://me.openai.azure.com/", "AZURE_OPENAI_API_KEY": KEY}
    embedder = AzureOpenAIEmbedding("m", environ=environ)
    assert embedder.endpoint.url == "https://me.openai.azure.com/openai/v1/embeddings"
    assert embedder.endpoint.headers == {"api-key": KEY}
    other = AzureOpenAIEmbedding("m", azure_endpoint="https://other.openai.azure.com", environ=environ)
    assert other.space(InputType.DOCUMENT) != embedder.space(InputType.DOCUMENT)
    with pytest.raises(UsageError, match="azure has no address of its own"):
        AzureOpenAIEmbedding("m", environ={})


def test_an_azure_token_in_a_header_is_key_enough():
    embedder = AzureOpenAIEmbedding("m", base_url="https://me.openai.azure.com", headers={"Authorization": "Bearer x"}, environ={})
    embedder.check()
    assert embedder.endpoint.headers == {"Authorization": "Bearer x"}


def test_heroku_is_what_its_add_on_sets():
    environ = {"EMBEDDING_URL": "https://eu.inference.heroku.com", "EMBEDDING_KEY": KEY, "EMBEDDING_MODEL_ID": "cohere-embed-multilingual"}
    embedder = HerokuEmbedding(environ=environ)
    assert (embedder.endpoint.url, embedder.model_name) == ("https://eu.inference.heroku.com/v1/embeddings", "cohere-embed-multilingual")
    assert embedder.endpoint.headers == {"authorization": f"Bearer {KEY}"}
    with pytest.raises(UsageError, match="heroku needs the name of a model"):
        HerokuEmbedding(environ={})


def test_a_key_of_voyage_says_where_it_belongs():
    assert VoyageEmbedding("voyage-4", api_key="pa-1", environ={}).endpoint.host == "api.voyageai.com"
    assert VoyageEmbedding("voyage-4", environ={"VOYAGE_API_KEY": "al-1"}).endpoint.url == "https://ai.mongodb.com/v1/embeddings"


@pytest.mark.parametrize(
    ("told", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:11434/api/embed"),
        ("box:8000", "http://box:8000/api/embed"),
        ("https://box/ollama/", "https://box/ollama/api/embed"),
        ("", "http://localhost:11434/api/embed"),
    ],
)
def test_ollamas_host_is_read_as_ollama_reads_it(told, url):
    assert OllamaEmbedding("m", environ={"OLLAMA_HOST": told}).endpoint.url == url


def test_a_host_that_only_looks_like_the_vendors_gets_no_key():
    embedder = AzureOpenAIEmbedding("m", base_url="https://openai.azure.com.example.com", environ={"AZURE_OPENAI_API_KEY": KEY})
    assert keys_of(embedder) == []
    assert keys_of(OllamaEmbedding("m", base_url="https://notollama.com", environ={"OLLAMA_API_KEY": KEY})) == []


@pytest.mark.parametrize("name", ["key", "api_key", "API-Key", "access_token"])
def test_a_key_in_the_query_string_is_refused(name):
    with pytest.raises(UsageError, match="into the address"):
        OpenAIEmbedding("m", params={name: KEY}, environ={})


@pytest.mark.parametrize(
    ("embedder", "model"),
    [
        (OpenAIEmbedding(model="m", api_base="http://x/v1", environ={}), "m"),
        (VoyageEmbedding(model_name="m", environ={}), "m"),
        (AzureOpenAIEmbedding(model="a", deployment_name="b", azure_endpoint="https://x", api_version="1", environ={}), "b"),
        (TextEmbeddingsInference(model_name="m", base_url="http://x", auth_token=KEY, environ={}), "m"),
        (TextEmbeddingsInference(environ={}), ""),
        (HuggingFaceInferenceAPIEmbedding(model_name="m", token=KEY, environ={}), "m"),
        (IsaacusEmbedding(environ={}), "kanon-2-embedder"),
        (MistralAIEmbedding(environ={}), "mistral-embed"),
    ],
)
def test_arguments_have_the_names_that_llamaindex_has_for_them(embedder, model):
    assert embedder.model_name == model


def test_a_batch_size_of_llamaindex_leaves_the_other_limits():
    assert OpenAIEmbedding("m", embed_batch_size=10, environ={}).batch == BatchLimits(max_items=10, max_tokens=300_000)


def test_an_argument_that_nobody_knows_is_refused():
    with pytest.raises(TypeError, match="unknown argument 'modell'"):
        OpenAIEmbedding("m", modell="x", environ={})


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"on_too_long": "cut"}, "on_too_long is 'cut', and must be fail, truncate or split"),
        ({"on_empty": "no"}, "on_empty is 'no', and must be fail or skip"),
        ({"timeout": -1}, "the timeout is -1, and must be more than 0 seconds"),
    ],
)
def test_a_policy_that_there_is_not_is_refused(wrong, sentence):
    with pytest.raises(UsageError, match=sentence):
        OpenAIEmbedding("m", api_key=KEY, **wrong)


def test_a_model_of_groups_of_texts_is_refused():
    with pytest.raises(UsageError, match="embeds groups of texts"):
        VoyageEmbedding("voyage-context-3", api_key=KEY, environ={}).check()


def test_a_space_is_the_models_wherever_the_vendor_serves_it_and_the_hosts_where_anybody_does():
    def described(embedder):
        return embedder.space(InputType.DOCUMENT).describe()

    assert described(VoyageEmbedding("m", api_key="pa-1", environ={})) == described(VoyageEmbedding("m", api_key="al-1", environ={}))
    assert described(TextEmbeddingsInference("m", base_url="http://a", environ={})) != described(
        TextEmbeddingsInference("m", base_url="http://b", environ={})
    )
    assert described(TextEmbeddingsInference("m", base_url="http://a", space="s", environ={})) == described(
        OpenAIEmbedding("m", base_url="http://b", space="s", environ={})
    )


def test_keys_limits_and_the_policy_for_long_texts_make_no_other_space():
    plain = CohereEmbedding("m", environ={})
    other = CohereEmbedding("m", api_key=KEY, on_too_long="truncate", batch=BatchLimits(3), headers={"x": "y"}, environ={})
    assert plain.space(InputType.DOCUMENT) == other.space(InputType.DOCUMENT)
    assert plain.space(InputType.DOCUMENT) != plain.space(InputType.QUERY)
    own_word = CohereEmbedding("m", input_type="clustering", environ={})
    assert own_word.space(InputType.DOCUMENT) == own_word.space(InputType.QUERY)


def test_every_provider_of_the_table_has_a_class_for_library_users():
    classes = [getattr(embedders, name) for name in embedders.__all__]
    assert set(PROVIDERS) <= {getattr(each, "provider", None) for each in classes}
